#pragma once

#include "adapters/mongodb/mongoc_include.hpp"

#include <beds/adapters/survey.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace beds::adapters::mongodb {

/// An index as the server tells it.
struct live_index {
    std::string name;
    std::vector<std::string> columns;
    bool plain = true; ///< ordered, so that it serves equality, ranges and order
    bool unique = false;
    bool sparse = false;
    bool hidden = false; ///< kept up, and not used
    std::optional<std::chrono::seconds> expire_after;
    std::vector<std::uint8_t> only;      ///< BSON: which documents it holds; empty: all
    std::vector<std::uint8_t> collation; ///< BSON; empty: it compares bytes
};

/// The one that every collection has.
live_index index_of_ids();

/// Of one document of `listIndexes`.
live_index read_index(const bson_iter_t& document);

/// Does it keep two documents with one key from getting in? Unique in fewer members is unique in
/// more.
bool tells_apart(const live_index& index, std::span<const std::string> columns);

/// What the template needs of the indexes of its collection beside those that are there. Who does
/// not write needs no unique ones.
std::vector<difference> compare_indexes(const templates::template_def& wanted,
                                        std::span<const live_index> there, bool writes);

/// The index of the template's key as a command that makes it; empty: it is `_id`, which has one.
std::string key_index_command(const templates::template_def& of);

} // namespace beds::adapters::mongodb
