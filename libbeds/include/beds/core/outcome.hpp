#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace beds::core {

/// What happened to the data. Never guessed: `none` only when nothing was changed, `applied` only
/// after the commit, otherwise `unknown`, which sending the same operation id again resolves.
enum class effect : std::uint8_t { none, applied, unknown };

enum class status : std::uint8_t { ok, error, skipped };

/// The closed set of codes of the wire protocol (protocol.md). `ok` is not sent.
enum class code : std::uint8_t {
    ok,
    invalid_envelope,
    invalid_field,
    unknown_template,
    misrouted,
    id_reused,
    unauthenticated,
    forbidden,
    not_found,
    conflict,
    rejected,
    invalid_transition,
    guard_failed,
    consent_required,
    duplicate_key,
    constraint,
    limit_exceeded,
    deadline_exceeded,
    overloaded,
    backend_unavailable,
    backend_permission_denied,
    backend_storage_full,
    backend_conflict,
    skipped,
    unsupported,
    internal,
};
inline constexpr std::size_t code_count = static_cast<std::size_t>(code::internal) + 1;

std::string_view to_string(effect value);
std::string_view to_string(status value);
/// The code as it stands on the wire, for example `INVALID_FIELD`.
std::string_view to_string(code value);
std::optional<code> parse_code(std::string_view text);
std::optional<effect> parse_effect(std::string_view text);
std::optional<status> parse_status(std::string_view text);

/// May the same operation succeed if it is simply sent again later, unchanged and to the same
/// place? True for `overloaded`, `backend_unavailable`, `backend_storage_full` and
/// `backend_conflict`. Not for `deadline_exceeded` (its deadline has passed), `misrouted` (it must
/// go elsewhere) and `internal` (a defect repeats itself). An outcome with effect `unknown` may be
/// sent again with the same id whatever its code.
bool is_retryable(code value);

/// The outcome of one operation without its rows. Strings are views into the batch's arena.
struct outcome {
    core::status status = status::ok;
    core::code code = code::ok;
    core::effect effect = effect::none;
    bool at_least_once = false;               ///< a redelivery may repeat it
    std::string_view detail{};                ///< for people; no SQL, no column or host names
    std::string_view field{};                 ///< public name of the field that is at fault
    std::string_view reason{};                ///< the DBA's word that comes with `REJECTED`
    std::chrono::milliseconds retry_after{0}; ///< zero: not said

    [[nodiscard]] bool ok() const { return status == core::status::ok; }

    static outcome applied() { return {.effect = core::effect::applied}; }
    /// With `retry_after` for `backend_storage_full`, whichever engine says it: people make room,
    /// not time, and nobody should ask without a pause meanwhile.
    static outcome failure(core::code code, std::string_view detail, std::string_view field = {},
                           core::effect effect = core::effect::none) {
        return {.status = core::status::error,
                .code = code,
                .effect = effect,
                .detail = detail,
                .field = field,
                .retry_after =
                    std::chrono::seconds{code == core::code::backend_storage_full ? 1 : 0}};
    }
    static outcome skip(std::string_view detail) {
        return {.status = core::status::skipped, .code = core::code::skipped, .detail = detail};
    }
};

} // namespace beds::core
