#include <beds/core/row.hpp>

#include <utility>

namespace beds::core {

row_layout::row_layout(std::vector<column> columns) : columns_(std::move(columns)) {
    json_keys_.reserve(columns_.size());
    for (const column& each : columns_) {
        json_keys_.push_back('"' + each.name + "\":");
    }
}

} // namespace beds::core
