#include "export_state.hpp"

#include "state_file.hpp"

#include <beds/core/json.hpp>

namespace bedsctl {

std::string to_json(const export_state& from) {
    std::string out = "{\"beds_export\":1";
    append_member(out, "question", from.question);
    append_member(out, "rows", from.rows);
    append_member(out, "bytes", from.bytes);
    append_member(out, "after", from.after);
    return out + "}\n";
}

std::optional<export_state> parse_export_state(std::string_view json) {
    beds::core::arena memory{4096};
    beds::core::datum parsed;
    std::uint64_t version = 0;
    export_state made;
    if (beds::core::parse_json(json, memory, parsed) ||
        !parsed.is(beds::core::datum::kind::object) || !take(parsed, "beds_export", version) ||
        version != 1 || !take(parsed, "question", made.question) ||
        !take(parsed, "rows", made.rows) || !take(parsed, "bytes", made.bytes) ||
        !take(parsed, "after", made.after) || made.after.empty()) {
        return std::nullopt;
    }
    return made;
}

} // namespace bedsctl
