#include "support/catch.hpp"
#include "unit/core/random.hpp"
#include "unit/wire/support.hpp"

#include <beds/wire/request.hpp>

#include <chrono>
#include <optional>

using namespace beds;
using beds::core::code;
using beds::core::datum;
using beds::test::json_of;
using beds::test::same;

namespace {

/// One request and what the decoder said; the bytes live as long.
struct decoded {
    explicit decoded(std::string text, wire::decode_limits limits = {}) : body(std::move(text)) {
        wire::request_decoder decoder{limits};
        refusal = decoder.decode(body, memory, request);
    }

    [[nodiscard]] const core::operation& op(std::size_t i = 0) const {
        return request.operations[i];
    }
    [[nodiscard]] std::string said() const {
        return refusal ? std::string{refusal->detail}
               : request.operations.empty()
                   ? std::string{"(nothing)"}
                   : std::string{to_string(op().refused)} + ": " + std::string{op().refusal};
    }

    std::string body;
    core::arena memory;
    core::request request;
    std::optional<wire::refusal> refusal;
};

std::string with(std::string_view members, std::string_view op = "fetch") {
    return R"({"v":1,"template":"t","op":")" + std::string{op} + "\"" +
           (members.empty() ? "" : ",") + std::string{members} + "}";
}

std::string where_nested(std::size_t arrays) {
    return R"({"v":1,"template":"t","op":"count","where":)" + std::string(arrays, '[') +
           std::string(arrays, ']') + "}";
}

const std::string full_request =
    R"( {"v":1,"mode":"sequence","ops":[{"id":"a\u00e9","deadline":1767225600000,"template":"t",)"
    R"("op":"update","key":{"a":-1.5e3,"b":"é\ud83d\ude00"},"set":{"x":null,"y":[true,false]},)"
    R"("inc":{"n":18446744073709551615},"if":{"x":"\\\""}},{"template":"t","op":"find","sort":[]}]} )";

} // namespace

TEST_CASE("a request cut at any byte is refused, never read as something else") {
    const decoded whole{full_request};
    INFO(whole.said());
    REQUIRE_FALSE(whole.refusal);
    REQUIRE(whole.request.operations.size() == 2);
    CHECK(whole.op(0).refused == code::ok);
    CHECK(whole.op(1).refused == code::ok);
    const auto end = full_request.find_last_of('}');
    for (std::size_t size = 0; size <= end; ++size) {
        const decoded cut{full_request.substr(0, size)};
        INFO(full_request.substr(0, size));
        REQUIRE(cut.refusal);
        CHECK(cut.refusal->code == code::invalid_envelope);
        CHECK_FALSE(cut.refusal->detail.empty());
    }
    CHECK_FALSE(decoded{full_request.substr(0, end + 1)}.refusal);
}

TEST_CASE("a request with any byte changed is read or refused, and refusals echo no value") {
    test::seeded random;
    INFO(random.note());
    for (int round = 0; round < 3000; ++round) {
        auto text = full_request;
        const auto changes = random.between(1, 4);
        for (int i = 0; i < changes; ++i) {
            text[random.between<std::size_t>(0, text.size() - 1)] =
                static_cast<char>(random.between(0, 255));
        }
        const decoded got{text};
        if (got.refusal) {
            CHECK_FALSE(got.refusal->detail.empty());
            CHECK(got.refusal->detail.size() < 200);
        } else {
            CHECK_FALSE(got.request.operations.empty());
        }
    }
}

TEST_CASE("members that must be strings or numbers are nothing else") {
    for (const auto* name : {"id", "template", "op", "name", "after"}) {
        for (const auto* wrong : {"null", "true", "1", "1.5", "[]", "{}", "[\"x\"]"}) {
            const auto op = std::string_view{name} == "after" ? "find" : "call";
            auto text = std::string{R"({"v":1,"template":"t","op":")"} + op + "\"";
            text = name == std::string_view{"op"}         ? R"({"v":1,"template":"t")"
                   : name == std::string_view{"template"} ? R"({"v":1,"op":"call")"
                                                          : text;
            text += std::string{",\""} + name + "\":" + wrong + "}";
            const decoded got{text};
            INFO(text << " -> " << got.said());
            REQUIRE_FALSE(got.refusal);
            CHECK(got.op().refused == code::invalid_envelope);
            CHECK(got.op().refused_field == name);
        }
    }
    for (const auto* wrong : {"null", "true", "\"1\"", "1.0", "1e3", "-1", "4102444800001",
                              "9223372036854775808", "18446744073709551616", "[]", "{}"}) {
        const decoded got{with(std::string{"\"deadline\":"} + wrong)};
        INFO(wrong << " -> " << got.said());
        CHECK(got.op().refused_field == "deadline");
    }
    for (const auto* right : {"0", "1", "4102444800000"}) {
        CHECK(decoded{with(std::string{"\"deadline\":"} + right)}.op().deadline.has_value());
    }
}

TEST_CASE("every member belongs to the operations that have it, and to no other") {
    struct row {
        const char* op;
        const char* members;
    };
    // As protocol.md has it.
    const row table[] = {
        {"fetch", " key fields "},
        {"find", " where sort limit after fields "},
        {"count", " where "},
        {"exists", " where "},
        {"insert", " data on_conflict return "},
        {"update", " key where set inc if return "},
        {"delete", " key where if return "},
        {"call", " name args "},
        {"describe", " "},
    };
    for (const auto& [op, members] : table) {
        for (const std::string name :
             {"key", "where", "data", "set", "inc", "if", "args", "sort", "limit", "fields",
              "return", "after", "on_conflict", "name"}) {
            const bool belongs = std::string{members}.find(' ' + name + ' ') != std::string::npos;
            const std::string required =
                op == std::string_view{"call"} && name == "args" ? R"("name":"x",)" : "";
            const decoded got{with(required + '"' + name + "\":\"x\"", op)};
            INFO(op << ' ' << name << " -> " << got.said());
            REQUIRE_FALSE(got.refusal);
            CHECK((got.op().refused == code::ok) == belongs);
            if (!belongs) {
                CHECK(got.op().refused_field == name);
                CHECK(got.op().refusal == "'" + name + "' does not belong to '" + op + "'");
            }
        }
    }
}

TEST_CASE("an unknown member is refused with what was probably meant") {
    const decoded near{with(R"("fileds":["a"])")};
    CHECK(near.op().refused == code::invalid_envelope);
    CHECK(near.op().refused_field == "fileds");
    CHECK(near.op().refusal.find("did you mean 'fields'") != std::string_view::npos);

    const decoded far{with(R"("zzzzzzzz":1)")};
    CHECK(far.op().refusal == "unknown member 'zzzzzzzz'");

    const std::string huge(100'000, 'k');
    const decoded bounded{with('"' + huge + "\":1")};
    CHECK(bounded.op().refused_field.size() == 64);
    CHECK(bounded.op().refusal.size() < 200);

    const decoded envelope{R"({"v":1,"ops":[{"template":"t","op":"count"}],")" + huge + "\":1}"};
    REQUIRE(envelope.refusal);
    CHECK(envelope.refusal->field.size() == 64);

    for (const auto* key : {"$where", "a.b", "", "__proto__", "V", "OP"}) {
        INFO(key);
        CHECK(decoded{with(std::string{"\""} + key + "\":1")}.op().refused ==
              code::invalid_envelope);
    }
    const decoded nul{with(R"("op\u0000":1)")};
    CHECK(nul.op().refused_field == std::string_view("op\0", 3));
}

TEST_CASE("the first thing that is wrong is the one that is told") {
    const decoded got{R"({"v":1,"op":"nope","template":1,"x":2})"};
    CHECK(got.op().refused_field == "op");
}

TEST_CASE("a member twice is refused wherever it stands") {
    for (const auto* text :
         {R"({"v":1,"v":1,"template":"t","op":"count"})",
          R"({"v":1,"template":"t","op":"count","where":{"a":1,"a":1}})",
          R"({"v":1,"template":"t","op":"count","where":{"a":{"b":[{"c":1,"\u0063":1}]}}})",
          R"({"v":1,"ops":[{"template":"t","op":"count","op":"count"}]})"}) {
        const decoded got{text};
        INFO(text);
        REQUIRE(got.refusal);
        CHECK(got.refusal->detail.find("twice") != std::string_view::npos);
    }
    // Above twelve members another algorithm looks.
    std::string many;
    for (int i = 0; i < 40; ++i) {
        many += (many.empty() ? "\"m" : ",\"m") + std::to_string(i) + "\":1";
    }
    CHECK_FALSE(decoded{with("\"where\":{" + many + "}", "count")}.refusal);
    CHECK(decoded{with("\"where\":{" + many + ",\"m7\":2}", "count")}.refusal);
    // The same name in different objects is no duplicate.
    CHECK_FALSE(decoded{with(R"("where":{"a":{"a":{"a":1}},"b":{"a":1}})", "count")}.refusal);
}

TEST_CASE("nesting: 100 deep is taken, 101 is refused") {
    CHECK_FALSE(decoded{where_nested(99)}.refusal); // and the request's own object
    const decoded deep{where_nested(100)};
    REQUIRE(deep.refusal);
    CHECK(deep.refusal->code == code::invalid_envelope);
    CHECK(deep.refusal->detail.find("deep") != std::string_view::npos);
    CHECK(decoded{where_nested(100'000)}.refusal);

    const auto inside = [](std::size_t objects) {
        std::string text = R"({"v":1,"ops":[{"template":"t","op":"count","where":)";
        for (std::size_t i = 0; i < objects; ++i) {
            text += R"({"a":)";
        }
        return text + "1" + std::string(objects, '}') + "}]}";
    };
    CHECK_FALSE(decoded{inside(97)}.refusal);
    CHECK(decoded{inside(98)}.refusal);
}

TEST_CASE("limits of one message") {
    const auto envelope = [](std::size_t count) {
        std::string text = R"({"v":1,"ops":[)";
        for (std::size_t i = 0; i < count; ++i) {
            text += i == 0 ? "" : ",";
            text += R"({"template":"t","op":"count"})";
        }
        return text + "]}";
    };
    CHECK(decoded{envelope(4096)}.request.operations.size() == 4096);
    const decoded many{envelope(4097)};
    REQUIRE(many.refusal);
    CHECK(many.refusal->code == code::limit_exceeded);
    CHECK(many.refusal->field == "ops");
    CHECK(many.refusal->detail == "an envelope holds 4096 operations at most");

    const auto padded = [](std::size_t size) {
        auto text = with("", "count");
        return text + std::string(size - text.size(), ' ');
    };
    constexpr std::size_t most = 16 * 1024 * 1024;
    CHECK_FALSE(decoded{padded(most)}.refusal);
    const decoded large{padded(most + 1)};
    REQUIRE(large.refusal);
    CHECK(large.refusal->code == code::limit_exceeded);

    // Small, but of millions of values: the object, its three texts and numbers, the array count
    // too.
    const auto values = [](std::size_t count) {
        std::string text = R"({"v":1,"template":"t","op":"count","where":[1)";
        text.reserve(text.size() + 2 * count + 2);
        for (std::size_t i = 6; i < count; ++i) {
            text += ",1";
        }
        return text + "]}";
    };
    constexpr std::size_t most_values = 4'194'304;
    CHECK_FALSE(decoded{values(most_values)}.refusal);
    const decoded crowded{values(most_values + 1)};
    REQUIRE(crowded.refusal);
    CHECK(crowded.refusal->code == code::limit_exceeded);

    wire::decode_limits small;
    small.max_body = 40;
    small.max_operations = 1;
    CHECK_FALSE(decoded{padded(40), small}.refusal);
    CHECK(decoded{padded(41), small}.refusal);
    small.max_body = 1000;
    CHECK_FALSE(decoded{envelope(1), small}.refusal);
    CHECK(decoded{envelope(2), small}.refusal);
}

TEST_CASE("a decoder serves the next message after every kind of refusal") {
    wire::request_decoder decoder;
    core::arena memory;
    for (const auto& text :
         {std::string{"{"}, std::string{R"({"v":1,"template":"half)"}, std::string{R"({"a\u0041)"},
          std::string{R"({"v":1,"x":{"a":1,"a":2}})"}, where_nested(500), std::string{"\xff"},
          std::string{"[1,2,{\"k\":"}, std::string{}}) {
        core::request request;
        CHECK(decoder.decode(text, memory, request));
        core::request good;
        const auto next = R"({"v":1,"template":"\u0074","op":"fetch","key":{"k":[1,"a"]}})";
        const auto refused = decoder.decode(next, memory, good);
        INFO(text);
        REQUIRE_FALSE(refused);
        REQUIRE(good.operations.size() == 1);
        CHECK(good.operations[0].template_name == "t");
        CHECK(json_of(good.operations[0].key) == R"({"k":[1,"a"]})");
    }
}

TEST_CASE("strings without escapes are views into the message; ids are bounded") {
    const decoded got{with(R"("key":"plain","id":"own")")};
    const auto inside = [&](std::string_view text) {
        return text.data() >= got.body.data() && text.data() < got.body.data() + got.body.size();
    };
    CHECK(inside(got.op().template_name));
    CHECK(inside(got.op().key->text));
    CHECK(inside(got.op().id));
    CHECK(decoded{with("\"id\":\"" + std::string(255, 'x') + "\"")}.op().refused == code::ok);
    CHECK(decoded{with("\"id\":\"" + std::string(256, 'x') + "\"")}.op().refused_field == "id");
}

// ---- what is written is read again ----

namespace {

class generator {
public:
    generator(test::seeded& random, core::arena& memory) : random_(random), memory_(memory) {}

    std::string_view text(std::size_t most = 12) {
        static constexpr std::string_view pieces[] = {
            "a", "Z", "0", "\"", "\\", "/", "\n", "\x01", "\x7f", "é", "日", "😀", "$", ".", " "};
        std::string made;
        const auto count = random_.between<std::size_t>(0, most);
        for (std::size_t i = 0; i < count; ++i) {
            if (random_.between(0, 19) == 0) {
                made.push_back('\0');
            } else {
                made += pieces[random_.between<std::size_t>(0, std::size(pieces) - 1)];
            }
        }
        return memory_.copy(std::string_view{made});
    }

    std::string_view name() { // never empty: an empty one is not written
        const auto tail = text(6);
        return memory_.copy(std::string_view{"n" + std::string{tail}});
    }

    datum tree(int depth = 0) {
        switch (random_.between(0, depth > 4 ? 5 : 7)) {
        case 0:
            return datum::of_null();
        case 1:
            return datum::of(random_.between(0, 1) == 1);
        case 2:
            return datum::of(random_.between(std::numeric_limits<std::int64_t>::min(),
                                             std::numeric_limits<std::int64_t>::max()));
        case 3:
            return datum::of(
                random_.between(std::uint64_t{0}, std::numeric_limits<std::uint64_t>::max()));
        case 4: {
            static constexpr std::string_view tokens[] = {"0.1",
                                                          "-0.0",
                                                          "1e400",
                                                          "-1E-400",
                                                          "123456789012345678901234567890",
                                                          "2.50",
                                                          "18446744073709551616",
                                                          "-9223372036854775809",
                                                          "1e0",
                                                          "0e-9"};
            return datum::of_number(tokens[random_.between<std::size_t>(0, std::size(tokens) - 1)]);
        }
        case 5:
            return datum::of(text());
        case 6: {
            const auto items = memory_.make_span<datum>(random_.between<std::size_t>(0, 4));
            for (auto& item : items) {
                item = tree(depth + 1);
            }
            return datum::of(std::span<const datum>{items});
        }
        default: {
            const auto members =
                memory_.make_span<core::member>(random_.between<std::size_t>(0, 4));
            for (std::size_t i = 0; i < members.size(); ++i) {
                members[i].name =
                    memory_.copy(std::string_view{std::string{text(4)} + std::to_string(i)});
                members[i].value = tree(depth + 1);
            }
            return datum::of(std::span<const core::member>{members});
        }
        }
    }

    const datum* maybe() {
        if (random_.between(0, 2) == 0) {
            return nullptr;
        }
        auto* made = memory_.make<datum>();
        *made = tree();
        return made;
    }

    core::operation operation() {
        core::operation made;
        made.op = static_cast<core::verb>(random_.between(0, 8));
        made.template_name = name();
        if (random_.between(0, 1) == 1) {
            made.id = name();
        }
        if (random_.between(0, 1) == 1) {
            made.deadline = core::system_time{std::chrono::milliseconds{
                random_.between(std::int64_t{0}, std::int64_t{4'102'444'800'000})}};
        }
        switch (made.op) {
        case core::verb::fetch:
            made.key = maybe();
            made.fields = maybe();
            break;
        case core::verb::find:
            made.where = maybe();
            made.sort = maybe();
            made.limit = maybe();
            made.fields = maybe();
            made.after = text();
            break;
        case core::verb::count:
        case core::verb::exists:
            made.where = maybe();
            break;
        case core::verb::insert:
            made.data = maybe();
            made.on_conflict = maybe();
            made.returning = maybe();
            break;
        case core::verb::update:
            made.set = maybe();
            made.inc = maybe();
            [[fallthrough]];
        case core::verb::remove:
            made.key = maybe();
            made.where = maybe();
            made.expect = maybe();
            made.returning = maybe();
            break;
        case core::verb::call:
            made.name = name();
            made.args = maybe();
            break;
        case core::verb::describe:
            break;
        }
        return made;
    }

private:
    test::seeded& random_;
    core::arena& memory_;
};

void check_same(const core::operation& sent, const core::operation& got) {
    INFO(got.refusal);
    REQUIRE(got.refused == code::ok);
    CHECK(sent.op == got.op);
    CHECK(sent.template_name == got.template_name);
    CHECK(sent.id == got.id);
    CHECK(sent.deadline == got.deadline);
    CHECK(sent.name == got.name);
    CHECK(sent.after == got.after);
    CHECK(same(sent.key, got.key));
    CHECK(same(sent.where, got.where));
    CHECK(same(sent.data, got.data));
    CHECK(same(sent.set, got.set));
    CHECK(same(sent.inc, got.inc));
    CHECK(same(sent.expect, got.expect));
    CHECK(same(sent.args, got.args));
    CHECK(same(sent.sort, got.sort));
    CHECK(same(sent.fields, got.fields));
    CHECK(same(sent.limit, got.limit));
    CHECK(same(sent.returning, got.returning));
    CHECK(same(sent.on_conflict, got.on_conflict));
}

} // namespace

TEST_CASE("what append_request writes, the decoder reads as the same request") {
    test::seeded random;
    INFO(random.note());
    wire::request_decoder decoder;
    for (int round = 0; round < 1500; ++round) {
        core::arena memory;
        generator make{random, memory};
        core::request sent;
        sent.enveloped = random.between(0, 1) == 1;
        const auto operations = memory.make_span<core::operation>(
            sent.enveloped ? random.between<std::size_t>(1, 5) : 1);
        for (auto& op : operations) {
            op = make.operation();
        }
        sent.operations = operations;
        if (sent.enveloped) {
            sent.mode = static_cast<core::envelope_mode>(random.between(0, 2));
        }
        std::string bytes;
        wire::append_request(bytes, sent);
        core::request got;
        const auto refused = decoder.decode(bytes, memory, got);
        INFO(bytes);
        INFO((refused ? refused->detail : std::string_view{}));
        REQUIRE_FALSE(refused);
        CHECK(sent.enveloped == got.enveloped);
        CHECK(sent.mode == got.mode);
        REQUIRE(sent.operations.size() == got.operations.size());
        for (std::size_t i = 0; i < sent.operations.size(); ++i) {
            check_same(sent.operations[i], got.operations[i]);
        }
        std::string again;
        wire::append_request(again, got);
        CHECK(again == bytes);
    }
}

TEST_CASE("an empty template or cursor is none, and a call names what it calls") {
    core::arena memory;
    wire::request_decoder decoder;
    for (const auto& [body, field] : std::vector<std::pair<std::string, std::string>>{
             {R"({"v":1,"op":"describe","template":""})", "template"},
             {R"({"v":1,"template":"t","op":"find","after":""})", "after"},
             {R"({"v":1,"template":"t","op":"call"})", "name"}}) {
        core::request request;
        REQUIRE_FALSE(decoder.decode(body, memory, request));
        INFO(body);
        CHECK(request.operations[0].refused == core::code::invalid_envelope);
        CHECK(request.operations[0].refused_field == field);
    }
}

TEST_CASE("an envelope that is written operation by operation is the one that is written whole") {
    const decoded read{full_request};
    wire::envelope_writer writer;
    for (int round = 0; round < 2; ++round) { // its memory is kept, its content is not
        writer.start();
        for (const auto& op : read.request.operations) {
            writer.add(op);
        }
        CHECK(writer.operations() == 2);
        core::request each;
        each.enveloped = true;
        each.operations = read.request.operations;
        std::string whole;
        wire::append_request(whole, each);
        CHECK(writer.finish() == whole);
    }
    writer.start();
    writer.add(read.request.operations[1]);
    core::request one;
    one.operations = read.request.operations.subspan(1);
    std::string bare;
    wire::append_request(bare, one);
    CHECK(writer.finish() == bare);
}
