#include "import_state.hpp"

#include "arguments.hpp"
#include "state_file.hpp"

#include <beds/core/error.hpp>
#include <beds/core/json.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <memory>
#include <openssl/evp.h>
#include <system_error>

namespace bedsctl {
namespace {

using beds::core::datum;

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
    const auto text = read_state(file);
    if (!text) {
        return std::nullopt;
    }
    auto made = parse_import_state(*text);
    if (!made) {
        throw usage_error("'" + file.string() +
                          "' is no state of an import, or one of another version of bedsctl; name "
                          "another with --state, or begin anew "
                          "with --restart");
    }
    return made;
}

void save_state(const std::filesystem::path& file, const import_state& state) {
    write_state(file, to_json(state));
}

std::string digest_of(const std::filesystem::path& file, std::uint64_t bytes) {
    std::ifstream in{file, std::ios::binary};
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> digest{EVP_MD_CTX_new(),
                                                                         EVP_MD_CTX_free};
    EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr);
    std::string piece(1024 * 1024, '\0');
    while (in && bytes > 0) {
        in.read(piece.data(),
                static_cast<std::streamsize>(std::min<std::uint64_t>(bytes, piece.size())));
        const auto size = in.gcount();
        EVP_DigestUpdate(digest.get(), piece.data(), static_cast<std::size_t>(size));
        bytes -= static_cast<std::uint64_t>(size);
    }
    if (!in.eof() && !in.good()) {
        throw std::system_error(errno, std::generic_category(), "cannot read " + file.string());
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
