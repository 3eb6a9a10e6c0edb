#include "client/known_templates.hpp"

namespace beds::client {

using core::op_class;

void known_templates::learn(const reply& from) {
    const auto* list = from.ok() ? from.front().data().find("templates") : nullptr;
    if (list == nullptr) {
        return;
    }
    templates_.clear();
    for (const auto& one : list->items()) {
        const auto* name = one.find("name");
        const auto* group = one.find("group");
        const auto* operations = one.find("operations");
        if (name == nullptr || operations == nullptr) {
            continue;
        }
        auto& made = templates_[std::string{name->text}];
        made.group = group == nullptr ? name->text : group->text;
        for (const auto& op : operations->items()) {
            const auto* call_name = op.find("name");
            const auto* call_class = op.find("class");
            if (call_name == nullptr || call_class == nullptr) {
                continue;
            }
            if (const auto parsed = core::parse_op_class(call_class->text)) {
                made.calls.emplace(std::string{call_name->text}, *parsed);
            }
        }
    }
    learned_ = true;
}

void known_templates::forget() {
    templates_.clear();
    learned_ = false;
}

std::optional<op_class> known_templates::class_of(const operation& op) const {
    switch (op.op) {
    case core::verb::insert:
    case core::verb::update:
    case core::verb::remove:
        return op_class::write;
    case core::verb::call: {
        const auto found = templates_.find(op.template_name);
        if (found == templates_.end()) {
            if (learned_) {
                return op_class::write; // unknown here: the node answers what is wrong with it
            }
            return std::nullopt;
        }
        const auto called = found->second.calls.find(op.name);
        return called == found->second.calls.end() ? op_class::write : called->second;
    }
    default:
        return op_class::read;
    }
}

template_group known_templates::group_of(std::string_view template_name) const {
    const auto found = templates_.find(template_name);
    return found == templates_.end() ? template_group{false, template_name}
                                     : template_group{true, found->second.group};
}

} // namespace beds::client
