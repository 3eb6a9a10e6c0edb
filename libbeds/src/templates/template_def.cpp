#include <beds/core/error.hpp>
#include <beds/templates/template_def.hpp>

#include <algorithm>

namespace beds::templates {

std::string_view to_string(engine value) {
    return value == engine::rel ? "rel" : "rec";
}

std::optional<field_id> template_def::find_field(std::string_view field_name) const {
    for (std::size_t i = 0; i < fields.size(); ++i) {
        if (fields[i].name == field_name) {
            return static_cast<field_id>(i);
        }
    }
    return std::nullopt;
}

std::string call::shown() const {
    return (is_function() ? "function '" : "procedure '") + std::string{routine_name()} + '\'';
}

const call* template_def::find_call(std::string_view call_name) const {
    for (const call& each : calls) {
        if (each.name == call_name) {
            return &each;
        }
    }
    return nullptr;
}

std::string template_def::suggest_field(std::string_view field_name) const {
    std::vector<std::string> known;
    known.reserve(fields.size());
    for (const field& each : fields) {
        known.push_back(each.name);
    }
    return core::did_you_mean(field_name, known);
}

bool template_def::has_rows_that_expire() const {
    return std::any_of(indexes.begin(), indexes.end(),
                       [](const index& each) { return each.expire_after.has_value(); });
}

std::vector<std::span<const field_id>> template_def::conflict_keys() const {
    if (soft_delete || !write.insert.empty()) {
        return {};
    }
    std::vector<std::span<const field_id>> found{key};
    for (const index& each : indexes) {
        if (store == engine::rel && each.unique && each.where_json.empty()) {
            found.emplace_back(each.fields);
        }
    }
    return found;
}

core::op_class template_def::class_of(core::verb op, const call* called) const {
    switch (op) {
    case core::verb::fetch:
    case core::verb::find:
    case core::verb::count:
    case core::verb::exists:
    case core::verb::describe:
        return core::op_class::read;
    case core::verb::insert:
    case core::verb::update:
    case core::verb::remove:
        return core::op_class::write;
    case core::verb::call:
        return called != nullptr ? called->op_class : core::op_class::write;
    }
    return core::op_class::write;
}

std::uint32_t template_def::line_of(std::string_view of) const {
    if (lines == nullptr) {
        return 0;
    }
    while (!of.empty()) {
        if (const auto found = lines->find(of); found != lines->end()) {
            return found->second;
        }
        const auto shorter = of.find_last_of(".[");
        of = of.substr(0, shorter == std::string_view::npos ? 0 : shorter);
    }
    const auto about = lines->find("template");
    return about == lines->end() ? 0 : about->second;
}

} // namespace beds::templates
