#include "import_state.hpp"

#include "arguments.hpp"

#include <beds/core/error.hpp>
#include <beds/core/json.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <memory>
#include <openssl/evp.h>
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

} // namespace

std::string to_json(const import_state& from) {
    std::string out = "{\"beds_import\":2";
    append_member(out, "template", from.template_name);
    append_member(out, "account", from.account);
    append_member(out, "job", from.job);
    append_member(out, "content", from.content);
    append_member(out, "size", from.size);
    append_member(out, "position", from.position);
    append_member(out, "line", from.line);
    append_member(out, "applied", from.applied);
    append_member(out, "rejected", from.rejected);
    append_member(out, "uncertain", from.uncertain);
    append_member(out, "rejects", from.rejects);
    append_member(out, "rejects_bytes", from.rejects_bytes);
    out.append(",\"settled\":").append(from.settled ? "true" : "false");
    out.append(",\"done\":").append(from.done ? "true" : "false").append("}\n");
    return out;
}

std::optional<import_state> parse_import_state(std::string_view json) {
    beds::core::arena memory{4096};
    datum parsed;
    std::uint64_t version = 0;
    import_state made;
    if (beds::core::parse_json(json, memory, parsed) || !parsed.is(datum::kind::object) ||
        !take(parsed, "beds_import", version) || version != 2 ||
        !take(parsed, "template", made.template_name) || !take(parsed, "account", made.account) ||
        !take(parsed, "job", made.job) || !take(parsed, "content", made.content) ||
        !take(parsed, "size", made.size) || !take(parsed, "position", made.position) ||
        !take(parsed, "line", made.line) || !take(parsed, "applied", made.applied) ||
        !take(parsed, "rejected", made.rejected) || !take(parsed, "uncertain", made.uncertain) ||
        !take(parsed, "rejects", made.rejects) ||
        !take(parsed, "rejects_bytes", made.rejects_bytes) ||
        !take(parsed, "settled", made.settled) || !take(parsed, "done", made.done)) {
        return std::nullopt;
    }
    return made;
}

std::optional<import_state> load_state(const std::filesystem::path& file) {
    std::ifstream stream{file, std::ios::binary};
    if (!stream) {
        if (std::filesystem::exists(file)) {
            failed(file, "cannot read");
        }
        return std::nullopt;
    }
    const std::string text{std::istreambuf_iterator<char>{stream}, {}};
    auto made = parse_import_state(text);
    if (!made) {
        throw usage_error("'" + file.string() +
                          "' is no state of an import, or one of another version of bedsctl; name "
                          "another with --state, or begin anew "
                          "with --restart");
    }
    return made;
}

void save_state(const std::filesystem::path& file, const import_state& state) {
    auto beside = file;
    beside += ".new";
    const auto text = to_json(state);
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

std::string digest_of(const std::filesystem::path& file, std::uint64_t bytes) {
    const descriptor in{file, O_RDONLY};
    if (in.number() < 0) {
        failed(file, "cannot read");
    }
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> digest{EVP_MD_CTX_new(),
                                                                         EVP_MD_CTX_free};
    EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr);
    std::string piece(1024 * 1024, '\0');
    while (bytes > 0) {
        const auto size =
            ::read(in.number(), piece.data(), std::min<std::uint64_t>(bytes, piece.size()));
        if (size == 0) {
            break;
        }
        if (size < 0) {
            if (errno == EINTR) {
                continue;
            }
            failed(file, "cannot read");
        }
        EVP_DigestUpdate(digest.get(), piece.data(), static_cast<std::size_t>(size));
        bytes -= static_cast<std::uint64_t>(size);
    }
    std::array<unsigned char, EVP_MAX_MD_SIZE> result{};
    unsigned count = 0;
    EVP_DigestFinal_ex(digest.get(), result.data(), &count);
    static constexpr std::string_view hex = "0123456789abcdef";
    std::string made;
    for (unsigned i = 0; i < count; ++i) {
        made.push_back(hex[result[i] >> 4U]);
        made.push_back(hex[result[i] & 15U]);
    }
    return made;
}

std::string job_of_content(std::string_view digest) {
    return std::string{digest.substr(0, 32)};
}

std::string row_id(std::string_view job, std::string_view template_name, std::uint64_t line) {
    std::string made{"import/"};
    made.append(job).append("/").append(template_name).append("/").append(std::to_string(line));
    if (made.size() > 255) {
        throw usage_error("--job: the name is too long; ids hold 255 bytes");
    }
    return made;
}

} // namespace bedsctl
