// What a MongoDB server answers, hostile or broken: values of any type, the ring of a document, the
// events of an intent, the details of an error.
#include "adapters/mongodb/bson_reader.hpp"
#include "adapters/mongodb/errors.hpp"
#include "adapters/mongodb/evidence.hpp"
#include "fuzz/target.hpp"

#include <beds/core/arena.hpp>
#include <beds/core/json.hpp>

#include <string>

namespace {

using namespace beds;
using namespace beds::adapters;

std::size_t look_at(const bson_iter_t& element, core::arena& memory, int depth) {
    using core::type_kind;
    std::size_t seen = 0;
    // Every kind of field may be asked for, whatever is stored.
    for (const auto kind :
         {type_kind::boolean,     type_kind::int8,     type_kind::int16,   type_kind::int32,
          type_kind::int64,       type_kind::uint8,    type_kind::uint16,  type_kind::uint32,
          type_kind::uint64,      type_kind::float64,  type_kind::decimal, type_kind::string,
          type_kind::enumeration, type_kind::uuid,     type_kind::bytes,   type_kind::date,
          type_kind::time,        type_kind::datetime, type_kind::json,    type_kind::document}) {
        core::field_type type;
        type.kind = kind;
        type.precision = 38;
        type.scale = 10;
        core::value got;
        if (!mongodb::read_value(element, type, memory, got)) {
            continue;
        }
        const bool text =
            got.type == core::value::kind::string || got.type == core::value::kind::json ||
            got.type == core::value::kind::decimal || got.type == core::value::kind::uuid ||
            got.type == core::value::kind::bytes;
        if (text) {
            for (const char c : got.text) {
                seen += static_cast<unsigned char>(c);
            }
        }
        if (got.type == core::value::kind::json) { // it goes into the reply as it is
            static core::json_parser parser{{.max_depth = 200, .max_values = 1'000'000}};
            core::datum parsed;
            const auto refused = parser.parse(got.text, memory, parsed);
            fuzz::expect(!refused || refused->what.find("twice") != std::string_view::npos);
        }
    }
    const auto began = mongodb::write_token{};
    seen += static_cast<std::size_t>(mongodb::read_ring(&element, began));
    const auto state = mongodb::read_events(&element, began);
    for (const char c : state.reply) {
        seen += static_cast<unsigned char>(c);
    }
    mongodb::server_error error;
    error.document = element;
    error.has_document = true;
    seen += mongodb::column_at_fault(error).value_or("").size();
    bson_iter_t inner;
    if (depth < 5 && (BSON_ITER_HOLDS_DOCUMENT(&element) || BSON_ITER_HOLDS_ARRAY(&element)) &&
        bson_iter_recurse(&element, &inner)) {
        while (bson_iter_next(&inner)) {
            seen += look_at(inner, memory, depth + 1);
        }
    }
    return seen;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static core::arena memory;
    memory.reset();
    std::size_t seen = mongodb::index_of_duplicate(fuzz::text_of(data, size)).size();
    bson_t document;
    bson_iter_t element;
    if (size > 0 && bson_init_static(&document, data, size) &&
        bson_iter_init(&element, &document)) {
        while (bson_iter_next(&element)) {
            seen += look_at(element, memory, 0);
        }
    }
    return seen == static_cast<std::size_t>(-1) ? 1 : 0; // so that nothing is left out
}
