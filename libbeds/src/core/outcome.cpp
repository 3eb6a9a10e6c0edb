#include "core/names.hpp"

#include <beds/core/outcome.hpp>

namespace beds::core {
namespace {

constexpr auto effect_names = make_enum_names<effect>("none", "applied", "unknown");
constexpr auto status_names = make_enum_names<status>("ok", "error", "skipped");
constexpr enum_names<code, code_count> code_names{{
    "OK",
    "INVALID_ENVELOPE",
    "INVALID_FIELD",
    "UNKNOWN_TEMPLATE",
    "MISROUTED",
    "ID_REUSED",
    "UNAUTHENTICATED",
    "FORBIDDEN",
    "NOT_FOUND",
    "CONFLICT",
    "REJECTED",
    "INVALID_TRANSITION",
    "GUARD_FAILED",
    "CONSENT_REQUIRED",
    "DUPLICATE_KEY",
    "CONSTRAINT",
    "LIMIT_EXCEEDED",
    "DEADLINE_EXCEEDED",
    "OVERLOADED",
    "BACKEND_UNAVAILABLE",
    "BACKEND_PERMISSION_DENIED",
    "BACKEND_STORAGE_FULL",
    "BACKEND_CONFLICT",
    "SKIPPED",
    "UNSUPPORTED",
    "INTERNAL",
}};
static_assert(code_names.name(code::internal) == "INTERNAL", "one name per code, in their order");

} // namespace

std::string_view to_string(effect value) {
    return effect_names.name(value);
}
std::string_view to_string(status value) {
    return status_names.name(value);
}
std::string_view to_string(code value) {
    return code_names.name(value);
}
std::optional<effect> parse_effect(std::string_view text) {
    return effect_names.parse(text);
}
std::optional<status> parse_status(std::string_view text) {
    return status_names.parse(text);
}
std::optional<code> parse_code(std::string_view text) {
    return code_names.parse(text);
}

bool is_retryable(code value) {
    switch (value) {
    case code::overloaded:
    case code::backend_unavailable:
    case code::backend_storage_full:
    case code::backend_conflict:
        return true;
    default:
        return false;
    }
}

} // namespace beds::core
