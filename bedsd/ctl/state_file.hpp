#pragma once

#include <beds/core/data.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

/// Files that keep how far a command has come, so that the same command goes on: one JSON object
/// each.
namespace bedsctl {

/// Behind a first member.
void append_member(std::string& out, const char* name, std::string_view text);
void append_member(std::string& out, const char* name, std::uint64_t number);
/// False when there is no such member of this type.
bool take(const beds::core::datum& from, const char* name, std::string& into);
bool take(const beds::core::datum& from, const char* name, bool& into);
bool take(const beds::core::datum& from, const char* name, std::uint64_t& into);

/// Nothing when there is no such file. Throws std::system_error when it cannot be read.
std::optional<std::string> read_state(const std::filesystem::path& file);
/// After this the file holds the old text or the new one, whatever is killed. Throws
/// std::system_error.
void write_state(const std::filesystem::path& file, std::string_view text);
/// The file, which is made where there is none, is this process's as long as the lock lives. Throws
/// usage_error when it is another's.
class file_lock {
public:
    explicit file_lock(const std::filesystem::path& file);
    ~file_lock();
    file_lock(const file_lock&) = delete;
    file_lock& operator=(const file_lock&) = delete;

private:
    int number_;
};

/// What was written to the file so far outlives the machine. Throws std::system_error.
void sync_to_disk(const std::filesystem::path& file);

} // namespace bedsctl
