#pragma once

#include "adapters/mongodb/bson_writer.hpp"
#include "adapters/mongodb/mongoc_include.hpp"

#include <string>

namespace beds::test {

/// What was written, as canonical Extended JSON: types show.
inline std::string text_of(adapters::mongodb::bson_writer& from) {
    const auto bytes = from.finish();
    bson_t view;
    if (!adapters::mongodb::view_bson(view, bytes.data(), bytes.size()) ||
        !bson_validate(&view, BSON_VALIDATE_UTF8_ALLOW_NULL, nullptr)) {
        return "not BSON";
    }
    char* const json = bson_as_canonical_extended_json(&view, nullptr);
    std::string text = json == nullptr ? "not BSON" : json;
    bson_free(json);
    return text;
}

} // namespace beds::test
