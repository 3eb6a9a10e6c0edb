#include "adapters/json_text.hpp"

#include <beds/core/arena.hpp>

#include <string>

namespace beds::adapters {

std::string_view json_text(const core::value& bound, core::arena& memory) {
    if (bound.type != core::value::kind::document) {
        return bound.text;
    }
    std::string text;
    core::append_json(text, *bound.document);
    return memory.copy(std::string_view{text});
}

} // namespace beds::adapters
