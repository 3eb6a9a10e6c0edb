#include "state_file.hpp"

#include "arguments.hpp"

#include <beds/core/json.hpp>

#include <cerrno>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace bedsctl {
namespace {

using beds::core::datum;

[[noreturn]] void failed(const std::filesystem::path& file, const char* what) {
    throw std::system_error(errno, std::generic_category(),
                            std::string{what} + " " + file.string());
}

class descriptor {
public:
    descriptor(const std::filesystem::path& path, int flags)
        : number_(::open(path.c_str(), flags | O_CLOEXEC, 0644)) {}
    ~descriptor() {
        if (number_ >= 0) {
            ::close(number_);
        }
    }
    descriptor(const descriptor&) = delete;
    descriptor& operator=(const descriptor&) = delete;
    [[nodiscard]] int number() const { return number_; }

private:
    int number_;
};

} // namespace

void append_member(std::string& out, const char* name, std::string_view text) {
    out.append(",\"").append(name).append("\":");
    beds::core::append_json_string(out, text);
}

void append_member(std::string& out, const char* name, std::uint64_t number) {
    out.append(",\"").append(name).append("\":").append(std::to_string(number));
}

bool take(const datum& from, const char* name, std::string& into) {
    const auto* found = from.find(name);
    if (found == nullptr || !found->is(datum::kind::string)) {
        return false;
    }
    into = found->text;
    return true;
}

bool take(const datum& from, const char* name, bool& into) {
    const auto* found = from.find(name);
    if (found == nullptr || !found->is(datum::kind::boolean)) {
        return false;
    }
    into = found->boolean;
    return true;
}

bool take(const datum& from, const char* name, std::uint64_t& into) {
    const auto* found = from.find(name);
    if (found == nullptr || !found->is(datum::kind::integer) || found->integer < 0) {
        return false;
    }
    into = static_cast<std::uint64_t>(found->integer);
    return true;
}

std::optional<std::string> read_state(const std::filesystem::path& file) {
    std::ifstream stream{file, std::ios::binary};
    if (!stream) {
        if (std::filesystem::exists(file)) {
            failed(file, "cannot read");
        }
        return std::nullopt;
    }
    return std::string{std::istreambuf_iterator<char>{stream}, {}};
}

void write_state(const std::filesystem::path& file, std::string_view text) {
    auto beside = file;
    beside += ".new";
    {
        const descriptor out{beside, O_WRONLY | O_CREAT | O_TRUNC};
        if (out.number() < 0) {
            failed(beside, "cannot write");
        }
        for (std::size_t at = 0; at < text.size();) {
            const auto written = ::write(out.number(), text.data() + at, text.size() - at);
            if (written < 0 && errno != EINTR) {
                failed(beside, "cannot write");
            }
            at += written > 0 ? static_cast<std::size_t>(written) : 0;
        }
        if (::fdatasync(out.number()) != 0) {
            failed(beside, "cannot write");
        }
    }
    std::filesystem::rename(beside, file);
    const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path{"."};
    const descriptor around{folder, O_RDONLY | O_DIRECTORY};
    if (around.number() >= 0) {
        ::fsync(around.number()); // some file systems cannot; the rename holds but for a power cut
    }
}

file_lock::file_lock(const std::filesystem::path& file)
    : number_(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
    if (number_ < 0) {
        throw usage_error("cannot write '" + file.string() + "'");
    }
    struct stat held {};
    struct stat named {};
    const bool locked = ::flock(number_, LOCK_EX | LOCK_NB) == 0;
    // Whoever had it may have given the file its name, or taken it away, meanwhile.
    if (!locked || ::fstat(number_, &held) != 0 || ::stat(file.c_str(), &named) != 0 ||
        held.st_ino != named.st_ino) {
        ::close(number_);
        throw usage_error("'" + file.string() + "' is being written by another bedsctl");
    }
}

file_lock::~file_lock() {
    ::close(number_);
}

void sync_to_disk(const std::filesystem::path& file) {
    const descriptor out{file, O_WRONLY};
    if (out.number() < 0 || ::fdatasync(out.number()) != 0) {
        failed(file, "cannot write");
    }
}

} // namespace bedsctl
