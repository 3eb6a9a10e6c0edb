#include "factory/outcomes.hpp"

#include "factory/bind.hpp"

#include <beds/core/data.hpp>
#include <beds/core/json.hpp>

#include <charconv>
#include <string>

namespace beds::factory {

using core::code;
using core::effect;
using core::outcome;

namespace {

std::string_view text_member(const core::datum& from, std::string_view name) {
    const auto* const found = from.find(name);
    return found != nullptr && found->is(core::datum::kind::string) ? found->text
                                                                    : std::string_view{};
}

} // namespace

std::string_view operation_id(const core::request& from, const core::operation& op,
                              std::size_t index, core::arena& memory) {
    if (!op.id.empty()) {
        return op.id;
    }
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, index).ptr;
    return join(memory, {from.message_id, "/", {digits, static_cast<std::size_t>(end - digits)}});
}

core::content_hash content_of(const core::operation& op) {
    auto sum = core::hash(op.template_name);
    const auto add = [&](const core::datum* part) {
        sum = core::combine(sum, part == nullptr ? core::content_hash{} : core::hash(*part));
    };
    sum = core::combine(sum, core::hash(core::to_string(op.op)));
    sum = core::combine(sum, core::hash(op.name));
    add(op.key);
    add(op.where);
    add(op.data);
    add(op.set);
    add(op.inc);
    add(op.expect);
    add(op.args);
    // Of what came later, only where it is given: hashes that inboxes hold stay what they are.
    if (op.returning != nullptr) {
        sum = core::combine(sum, core::hash("return"));
        add(op.returning);
    }
    if (op.on_conflict != nullptr) {
        sum = core::combine(sum, core::hash("on_conflict"));
        add(op.on_conflict);
    }
    return sum;
}

std::optional<outcome> outcome_of_stored(std::string_view reply, core::arena& memory) {
    core::datum members;
    if (core::parse_json(memory.copy("{" + std::string{reply} + "}"), memory, members)) {
        return std::nullopt;
    }
    const auto status = text_member(members, "status");
    const auto done = text_member(members, "effect");
    if ((status != "ok" && status != "error") || (done != "none" && done != "applied")) {
        return std::nullopt;
    }
    outcome made;
    made.effect = done == "applied" ? effect::applied : effect::none;
    if (status == "error") {
        made.status = core::status::error;
        made.code = core::parse_code(text_member(members, "code")).value_or(code::rejected);
        made.detail = text_member(members, "detail");
        made.field = text_member(members, "field");
        made.reason = text_member(members, "reason");
    }
    return made;
}

namespace {

/// Nothing was done, for a reason that lies in the database and not in the request: when its people
/// have mended that (a right, a setting), the same request is to be done.
bool is_for_its_people(const outcome& result) {
    return result.effect == effect::none &&
           (result.code == code::backend_permission_denied || result.code == code::unsupported ||
            result.code == code::limit_exceeded);
}

} // namespace

bool is_final(const outcome& result) {
    if (result.status == core::status::skipped || result.effect == effect::unknown ||
        is_for_its_people(result)) {
        return false;
    }
    return result.ok() || (!is_retryable(result.code) && result.code != code::deadline_exceeded &&
                           result.code != code::internal);
}

bool is_busy(const outcome& result) {
    return result.code == code::backend_conflict && result.effect == effect::none &&
           !result.at_least_once && result.status == core::status::error;
}

} // namespace beds::factory
