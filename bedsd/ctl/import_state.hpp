#pragma once

#include "records.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace bedsctl {

/// How far an import has come: up to `position` every row has its answer for good, and what was
/// refused stands in the first `rejects_bytes` of the file of refused rows.
struct import_state {
    std::string template_name{};
    std::string account{}; ///< as whom the rows were sent
    std::string job{};
    std::string content{};  ///< `digest_of` the file; empty: standard input
    std::uint64_t size = 0; ///< so many bytes `content` is of
    std::uint64_t position = 0;
    std::uint64_t line = 1; ///< of the row at `position`
    std::uint64_t applied = 0;
    std::uint64_t rejected = 0;
    std::uint64_t uncertain = 0; ///< of those rejected: whether they are in cannot be told
    std::string rejects{};
    std::uint64_t rejects_bytes = 0;
    /// Nothing was sent of which the answer is not in here.
    bool settled = false;
    bool done = false;

    friend bool operator==(const import_state&, const import_state&) = default;
};

std::string to_json(const import_state& from);
/// Nothing when the text is no state of this version.
std::optional<import_state> parse_import_state(std::string_view json);

/// Nothing when there is no such file. Throws beds::core::error when it holds something else.
std::optional<import_state> load_state(const std::filesystem::path& file);
/// After this the file holds the old state or the new one, whatever is killed. Throws
/// std::system_error.
void save_state(const std::filesystem::path& file, const import_state& state);

/// SHA-256 of a file's first bytes, in hexadecimal. Throws std::system_error.
std::string digest_of(const std::filesystem::path& file, std::uint64_t bytes);

/// Name of the job when none was given: the same for the same content, whatever the file is called.
/// A file that grows keeps that of its first import, which its state remembers.
std::string job_of_content(std::string_view digest);

/// Identity of the row that begins in this line. Throws usage_error when the job's name is too
/// long for one.
std::string row_id(std::string_view job, std::string_view template_name, std::uint64_t line);

} // namespace bedsctl
