#include "amqp/message_block.hpp"
#include "amqp/rabbitmqc/message_reader.hpp"
#include "support/catch.hpp"

#include <beds/core/error.hpp>

#include <limits>
#include <string>
#include <vector>

using namespace beds;
using namespace beds::amqp::detail;

namespace {

amqp_table_entry_t entry(const char* name, std::uint8_t kind) {
    amqp_table_entry_t made{};
    made.key = to_bytes(name);
    made.value.kind = kind;
    return made;
}

amqp_frame_t header_frame(amqp_basic_properties_t& with, std::uint64_t body_size) {
    amqp_frame_t frame{};
    frame.frame_type = AMQP_FRAME_HEADER;
    frame.channel = 1;
    frame.payload.properties.class_id = AMQP_BASIC_CLASS;
    frame.payload.properties.body_size = body_size;
    frame.payload.properties.decoded = &with;
    return frame;
}

amqp_frame_t body_frame(std::string_view text) {
    amqp_frame_t frame{};
    frame.frame_type = AMQP_FRAME_BODY;
    frame.channel = 1;
    frame.payload.body_fragment = to_bytes(text);
    return frame;
}

} // namespace

TEST_CASE("headers of every field type are taken as text, integer or other") {
    std::vector<amqp_table_entry_t> entries;
    const auto add = [&](const char* name, std::uint8_t kind) -> auto& {
        entries.push_back(entry(name, kind));
        return entries.back().value.value;
    };
    add("utf8", AMQP_FIELD_KIND_UTF8).bytes = to_bytes("text");
    add("bytes", AMQP_FIELD_KIND_BYTES).bytes = to_bytes("by\0tes");
    add("true", AMQP_FIELD_KIND_BOOLEAN).boolean = 1;
    add("i8", AMQP_FIELD_KIND_I8).i8 = -8;
    add("u8", AMQP_FIELD_KIND_U8).u8 = 200;
    add("i16", AMQP_FIELD_KIND_I16).i16 = -16;
    add("u16", AMQP_FIELD_KIND_U16).u16 = 60000;
    add("i32", AMQP_FIELD_KIND_I32).i32 = -32;
    add("u32", AMQP_FIELD_KIND_U32).u32 = 4000000000;
    add("i64", AMQP_FIELD_KIND_I64).i64 = std::numeric_limits<std::int64_t>::min();
    add("u64", AMQP_FIELD_KIND_U64).u64 = std::numeric_limits<std::int64_t>::max();
    add("u64 too big", AMQP_FIELD_KIND_U64).u64 = std::numeric_limits<std::uint64_t>::max();
    add("time", AMQP_FIELD_KIND_TIMESTAMP).u64 = 1767225600;
    add("float", AMQP_FIELD_KIND_F32).f32 = 1.5F;
    add("double", AMQP_FIELD_KIND_F64).f64 = 1.5;
    add("decimal", AMQP_FIELD_KIND_DECIMAL).decimal = {2, 150};
    add("void", AMQP_FIELD_KIND_VOID);
    // A pointer that must not be followed: nested data is not looked into.
    add("table", AMQP_FIELD_KIND_TABLE).table = {1, reinterpret_cast<amqp_table_entry_t*>(8)};
    add("array", AMQP_FIELD_KIND_ARRAY).array = {1, reinterpret_cast<amqp_field_value_t*>(8)};
    add("unknown", '?');
    add("digits", AMQP_FIELD_KIND_UTF8).bytes = to_bytes("-12");
    add("almost digits", AMQP_FIELD_KIND_UTF8).bytes = to_bytes("12 ");
    add("utf8", AMQP_FIELD_KIND_UTF8).bytes = to_bytes("second of the name");

    amqp_basic_properties_t with{};
    with._flags = AMQP_BASIC_HEADERS_FLAG;
    with.headers = {static_cast<int>(entries.size()), entries.data()};
    message_reader reader;
    reader.begin({});
    REQUIRE(reader.take(header_frame(with, 0)));
    const auto message = reader.finish();
    const auto& got = message->properties;

    CHECK(got.headers.size() == entries.size());
    CHECK(got.text("utf8") == "text");
    CHECK(got.text("bytes").has_value());
    CHECK(got.integer("true") == 1);
    CHECK(got.integer("i8") == -8);
    CHECK(got.integer("u8") == 200);
    CHECK(got.integer("i16") == -16);
    CHECK(got.integer("u16") == 60000);
    CHECK(got.integer("i32") == -32);
    CHECK(got.integer("u32") == 4000000000);
    CHECK(got.integer("i64") == std::numeric_limits<std::int64_t>::min());
    CHECK(got.integer("u64") == std::numeric_limits<std::int64_t>::max());
    CHECK(got.integer("time") == 1767225600);
    CHECK(got.integer("digits") == -12);
    CHECK_FALSE(got.integer("almost digits"));
    CHECK_FALSE(got.integer("utf8"));
    CHECK_FALSE(got.text("i8"));
    for (const auto* name :
         {"u64 too big", "float", "double", "decimal", "void", "table", "array", "unknown"}) {
        REQUIRE(got.find(name) != nullptr);
        CHECK(got.find(name)->type == amqp::header::kind::other);
        CHECK_FALSE(got.text(name));
        CHECK_FALSE(got.integer(name));
    }
    CHECK(got.find("absent") == nullptr);
}

TEST_CASE("headers beyond the bound are cut off and told") {
    std::vector<amqp_table_entry_t> entries(amqp::max_headers, entry("x", AMQP_FIELD_KIND_VOID));
    const auto read = [&] {
        amqp_basic_properties_t with{};
        with._flags = AMQP_BASIC_HEADERS_FLAG;
        with.headers = {static_cast<int>(entries.size()), entries.data()};
        message_reader reader;
        reader.begin({});
        REQUIRE(reader.take(header_frame(with, 0)));
        return reader.finish();
    };
    CHECK_FALSE(read()->headers_truncated);
    entries.push_back(entry("y", AMQP_FIELD_KIND_VOID));
    CHECK(read()->headers_truncated);
    CHECK(read()->properties.headers.size() == amqp::max_headers);
    entries.resize(10'000, entry("z", AMQP_FIELD_KIND_VOID));
    CHECK(read()->headers_truncated);
}

TEST_CASE("properties whose flag is not set are absent whatever lies there") {
    amqp_basic_properties_t with{};
    with.message_id = to_bytes("garbage");
    with.headers = {1000, nullptr};
    with.delivery_mode = 2;
    decoded_properties decoded;
    decoded.decode(with);
    CHECK(decoded.properties.message_id.empty());
    CHECK_FALSE(decoded.properties.mode);
    CHECK(decoded.header_count == 0);
}

TEST_CASE("a message is put together from any number of fragments") {
    amqp_basic_properties_t with{};
    message_parts parts;
    parts.exchange = "e";
    parts.routing_key = "k";
    parts.queue = "q";
    parts.max_body = 10;
    message_reader reader;
    CHECK_FALSE(reader.busy());
    reader.begin(parts);
    CHECK(reader.wants_header());
    CHECK_FALSE(reader.take(header_frame(with, 5)));
    CHECK(reader.busy());
    CHECK_FALSE(reader.wants_header());
    CHECK_FALSE(reader.take(body_frame("ab")));
    CHECK_FALSE(reader.take(body_frame("")));
    CHECK(reader.take(body_frame("cde")));
    const auto message = reader.finish();
    CHECK_FALSE(reader.busy());
    CHECK(std::string_view(message->body, message->stored) == "abcde");
    CHECK(message->exchange == "e");
    CHECK(message->routing_key == "k");
    CHECK(message->queue == "q");

    SECTION("an oversized one is skipped") {
        reader.begin(parts);
        CHECK_FALSE(reader.take(header_frame(with, 11)));
        CHECK_FALSE(reader.take(body_frame("0123456789")));
        CHECK(reader.take(body_frame("a")));
        const auto skipped = reader.finish();
        CHECK(skipped->oversized);
        CHECK(skipped->stored == 0);
        CHECK(skipped->body_size == 11);
    }
    SECTION("a size that no memory can hold takes none") {
        reader.begin(parts);
        CHECK_FALSE(reader.take(header_frame(with, std::numeric_limits<std::uint64_t>::max())));
        reader.reset();
        CHECK_FALSE(reader.busy());
    }
    SECTION("more than announced is an error") {
        reader.begin(parts);
        CHECK_FALSE(reader.take(header_frame(with, 2)));
        CHECK_THROWS_AS(reader.take(body_frame("abc")), core::error);
    }
    SECTION("frames in a wrong order are an error") {
        CHECK_THROWS_AS(reader.take(body_frame("a")), core::error);
        reader.begin(parts);
        CHECK_THROWS_AS(reader.begin(parts), core::error);
        CHECK_THROWS_AS(reader.take(body_frame("a")), core::error);
    }
}
