#include "adapters/mariadb/information_schema.hpp"

#include <beds/core/arena.hpp>

#include <algorithm>

namespace beds::adapters::mariadb {

qualified_name split(std::string_view qualified) {
    const auto dot = qualified.find('.');
    if (dot == std::string_view::npos) {
        return {{}, std::string{qualified}};
    }
    return {std::string{qualified.substr(0, dot)}, std::string{qualified.substr(dot + 1)}};
}

routine_name routine_of(std::string_view kept) {
    constexpr std::string_view of_function = "()";
    const bool function = kept.ends_with(of_function);
    kept.remove_suffix(function ? of_function.size() : 0);
    return {split(kept), function};
}

bool ask(connection& from, std::string_view text, const qualified_name& about,
         const std::function<void(std::span<const raw_cell>)>& row) {
    query asked;
    asked.text(text);
    asked.value_only(about.schema.empty()
                         ? core::value::of_null()
                         : core::value::of_text(core::value::kind::string, about.schema));
    asked.value_only(core::value::of_text(core::value::kind::string, about.name));
    return ask(from, asked, row);
}

bool ask(connection& from, const query& asked,
         const std::function<void(std::span<const raw_cell>)>& row) {
    core::arena memory{1024};
    statement* const made = from.prepared(asked.text());
    if (made == nullptr) {
        return false;
    }
    if (!made->execute(asked.parameters(), from.facts().max_packet, memory)) {
        from.note(made->error());
        return false;
    }
    for (;;) {
        switch (made->fetch()) {
        case statement::fetched::row:
            row(made->cells());
            break;
        case statement::fetched::end:
            return true;
        case statement::fetched::failed:
            from.note(made->error());
            return false;
        }
    }
}

std::string text_of(const raw_cell& cell) {
    return cell.data == nullptr ? std::string{} : std::string{cell.text()};
}

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) {
        return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    });
    return text;
}

} // namespace beds::adapters::mariadb
