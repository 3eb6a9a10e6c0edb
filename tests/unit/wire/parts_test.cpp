#include "support/catch.hpp"

#include <beds/wire/reply.hpp>

using namespace beds;

namespace {

const core::row_layout layout{{{"id", {.kind = core::type_kind::int64}}}};

void rows(wire::reply_writer& writer, int from, int to) {
    for (int id = from; id <= to; ++id) {
        writer.begin_row(0, layout);
        writer.cell(core::value::of_int(id));
        writer.end_row();
    }
}

struct divided {
    wire::reply_writer writer;
    std::vector<std::string> parts;

    explicit divided(std::size_t bytes, wire::reply_limits limits = {}) : writer(limits) {
        writer.start(1);
        writer.in_parts(bytes, "dev.1",
                        [this](std::string_view part) { parts.emplace_back(part); });
    }
    std::string last(const core::outcome& result = {}) const {
        std::string out;
        writer.append_reply(out, "dev.1", false, 0, {&result, 1});
        return out;
    }
};

} // namespace

TEST_CASE("rows leave in parts as soon as enough of them are there") {
    divided reply{20};
    reply.writer.no_rows(0);
    rows(reply.writer, 1, 7);
    CHECK(
        reply.parts ==
        std::vector<std::string>{
            R"({"v":1,"event":"dev.1","part":0,"last":false,"status":"ok","effect":"none","rows":[{"id":1},{"id":2},{"id":3}]})",
            R"({"v":1,"event":"dev.1","part":1,"last":false,"status":"ok","effect":"none","rows":[{"id":4},{"id":5},{"id":6}]})"});
    CHECK(
        reply.last() ==
        R"({"v":1,"event":"dev.1","part":2,"last":true,"status":"ok","effect":"none","rows":[{"id":7}]})");
}

TEST_CASE("a reply that fits is one part; one without a row left ends with an empty one") {
    divided small{1000};
    rows(small.writer, 1, 1);
    CHECK(small.parts.empty());
    CHECK(small.last().find(R"("part":0,"last":true)") != std::string::npos);

    divided even{9};
    rows(even.writer, 1, 2);
    CHECK(even.parts.size() == 1);
    CHECK(even.last().find(R"("rows":[])") != std::string::npos);
}

TEST_CASE("rows that are read again begin with part 0 again") {
    divided reply{9};
    rows(reply.writer, 1, 4);
    REQUIRE(reply.parts.size() == 2);
    reply.writer.reset(0);
    rows(reply.writer, 1, 4);
    REQUIRE(reply.parts.size() == 4);
    CHECK(reply.parts[2] == reply.parts[0]);
    CHECK(reply.last().find(R"("part":2)") != std::string::npos);
}

TEST_CASE("what fails after parts were sent says so in the last one") {
    divided reply{9};
    rows(reply.writer, 1, 3);
    const auto last =
        reply.last(core::outcome::failure(core::code::deadline_exceeded, "it took too long"));
    CHECK(last.find(R"("last":true,"status":"error","code":"DEADLINE_EXCEEDED")") !=
          std::string::npos);
    CHECK(last.find("rows") == std::string::npos);
}

TEST_CASE("parts are not bounded together, a single row is") {
    divided reply{100, {.max_reply = 1000}};
    rows(reply.writer, 1, 1000);
    CHECK(reply.last().find("LIMIT_EXCEEDED") == std::string::npos);

    divided large{100, {.max_reply = 5}};
    rows(large.writer, 1, 1);
    CHECK(large.last().find("LIMIT_EXCEEDED") != std::string::npos);
}

TEST_CASE("the next batch is not divided") {
    divided reply{9};
    rows(reply.writer, 1, 3);
    reply.writer.start(1);
    const auto sent = reply.parts.size();
    rows(reply.writer, 1, 3);
    CHECK(reply.parts.size() == sent);
    CHECK(reply.last().find("part") == std::string::npos);
}

TEST_CASE("a client reads which part it has") {
    core::arena memory;
    core::json_parser parser;
    wire::reply_view view;
    REQUIRE(wire::decode_reply(
        R"({"v":1,"part":3,"last":false,"status":"ok","effect":"none","rows":[]})", parser, memory,
        view));
    CHECK(view.part == 3);
    CHECK_FALSE(view.last);
    REQUIRE(wire::decode_reply(R"({"v":1,"status":"ok","effect":"none","rows":[]})", parser, memory,
                               view));
    CHECK(view.part == 0);
    CHECK(view.last);
}
