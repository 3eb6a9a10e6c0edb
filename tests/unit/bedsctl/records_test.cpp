#include "support/catch.hpp"
#include "support/folder.hpp"

#include <beds/core/arena.hpp>
#include <beds/core/error.hpp>
#include <beds/core/json.hpp>

#include <arguments.hpp>
#include <export_state.hpp>
#include <import.hpp>
#include <import_state.hpp>
#include <progress.hpp>
#include <random>
#include <records.hpp>
#include <string>
#include <table_rows.hpp>
#include <vector>

using namespace bedsctl;
namespace test = beds::test;
using namespace std::string_literals;

namespace {

/// Hands out a text in pieces of random sizes up to `most`, with pauses in between.
record_reader::source torn(std::string text, std::size_t most, std::uint64_t seed) {
    return [text = std::move(text), most, random = std::mt19937_64{seed}, at = std::size_t{0}](
               char* into, std::size_t room) mutable -> std::optional<std::size_t> {
        if (random() % 3 == 0) {
            return std::nullopt;
        }
        const auto size =
            std::min({room, text.size() - at, 1 + static_cast<std::size_t>(random() % most)});
        text.copy(into, size, at);
        at += size;
        return size;
    };
}

std::vector<record> all_of(record_reader reader) {
    std::vector<record> made;
    for (record one;;) {
        switch (reader.next(one)) {
        case record_reader::got::record:
            made.push_back(one);
            if (one.wrong != record::defect::none) {
                return made;
            }
            break;
        case record_reader::got::nothing_yet:
            break;
        case record_reader::got::end:
            return made;
        }
    }
}

std::vector<record> all_of(const std::string& text, row_format format = row_format::csv) {
    return all_of(record_reader{format, torn(text, 1'000'000, 1)});
}

std::vector<std::string> raws(const std::vector<record>& from) {
    std::vector<std::string> made;
    for (const auto& one : from) {
        made.push_back(one.raw);
    }
    return made;
}

std::vector<csv_field> fields_of(std::string_view raw) {
    std::vector<csv_field> made;
    const auto wrong = split_csv(raw, made);
    INFO(raw << ": " << wrong.value_or(""));
    REQUIRE_FALSE(wrong);
    return made;
}

using strings = std::vector<std::string>;

beds::core::datum parsed(std::string_view json, beds::core::arena& memory) {
    beds::core::datum made;
    REQUIRE_FALSE(beds::core::parse_json(json, memory, made));
    return made;
}

constexpr std::string_view described = R"({"name":"people","version":1,"group":"g","key":["id"],
"fields":[{"name":"id","type":"int16","key":true,"required":true},
{"name":"name","type":"string","max":5,"nullable":true},
{"name":"big","type":"uint64","nullable":true},
{"name":"ratio","type":"double","nullable":true},
{"name":"flag","type":"bool","nullable":true},
{"name":"tree","type":"document","nullable":true},
{"name":"stock","type":"int8"},
{"name":"stamp","type":"datetime","protected":true,"generated":true}],
"operations":[{"op":"insert","class":"write"}],"limits":{"max_rows":77,"max_in":5}})";

struct people {
    people() : table(parsed(described, memory)) {}
    std::string insert(const strings& columns, std::string_view csv, std::string_view null = "") {
        beds::client::members members;
        const auto fields = fields_of(csv);
        auto why = table.from_csv(fields, columns, {}, null, members);
        auto op = beds::client::insert("people", std::move(members));
        if (!why) {
            why = table.check(op);
        }
        if (why) {
            return why->code + " " + why->field;
        }
        std::string text;
        beds::core::arena views;
        beds::core::append_json(text, op.data->view(views));
        return text;
    }
    beds::core::arena memory;
    table_rows table;
};

} // namespace

TEST_CASE("records: lines, quotes, ends") {
    CHECK(raws(all_of("")) == strings{});
    CHECK(raws(all_of("a,b\n1,2")) == strings{"a,b", "1,2"});
    CHECK(raws(all_of("a,b\r\n\"1\r\n\"\"\n\",2\r\n\r\nx")) ==
          strings{"a,b", "\"1\r\n\"\"\n\",2", "", "x"});
    CHECK(raws(all_of("\xEF\xBB\xBF\"a\nb\"\nc\n")) == strings{"\"a\nb\"", "c"});
    CHECK(raws(all_of("\xEF\xBB")) == strings{"\xEF\xBB"});
    CHECK(raws(all_of("a\n\xEF\xBB\xBF"
                      "b\n")) == strings{"a", "\xEF\xBB\xBF"
                                              "b"}); // only at the start
    // Quotes that are none do not swallow what follows.
    CHECK(raws(all_of("5\" disk,x\n\"a\"b\"\nc\n")) == strings{"5\" disk,x", "\"a\"b\"", "c"});
    CHECK(raws(all_of("{\"a\":\"\n\"}\n", row_format::ndjson)) == strings{"{\"a\":\"", "\"}"});

    const auto some = all_of("\xEF\xBB\xBFh\r\n\"x\n\ny\",\n\nlast");
    REQUIRE(some.size() == 4);
    CHECK(some[0].line == 1);
    CHECK(some[0].end == 6);
    CHECK(some[1].line == 2);
    CHECK(some[1].end == 14);
    CHECK(some[2].line == 5);
    CHECK(some[3].line == 6);
    CHECK(some[3].end == 19);
}

TEST_CASE("records: a quote that stays open is told with its line") {
    const auto open = all_of("a\nb,\"c\nd\n\ne");
    REQUIRE(open.size() == 2);
    CHECK(open[1].wrong == record::defect::open_quote);
    CHECK(open[1].line == 2);
    const auto closed = all_of("a\n\"b\"");
    CHECK(closed.back().wrong == record::defect::none);

    const auto endless = all_of(record_reader{
        row_format::csv, torn("a\n\"" + std::string(5'000'000, 'x'), 300'000, 7), 1'000'000});
    REQUIRE(endless.size() == 2);
    CHECK(endless[1].wrong == record::defect::too_long);
    CHECK(endless[1].line == 2);
}

TEST_CASE("records: wherever a text is torn, the records are the same, and any of them is a place "
          "to go on from") {
    std::mt19937_64 random{4711};
    constexpr std::string_view letters = "ab,\"\"\n\r\n\xEF\xBB\xBF";
    for (int round = 0; round < 3'000; ++round) {
        std::string text = random() % 4 == 0 ? "\xEF\xBB\xBF" : "";
        for (auto left = random() % 60; left != 0; --left) {
            text += letters[random() % letters.size()];
        }
        const auto format = random() % 4 == 0 ? row_format::ndjson : row_format::csv;
        const auto whole = all_of(text, format);
        const auto pieces = all_of(record_reader{format, torn(text, 1 + random() % 4, random())});
        INFO(text);
        REQUIRE(raws(whole) == raws(pieces));
        for (std::size_t i = 0; i < whole.size(); ++i) {
            REQUIRE(whole[i].line == pieces[i].line);
            REQUIRE(whole[i].end == pieces[i].end);
            REQUIRE(whole[i].wrong == pieces[i].wrong);
        }
        if (whole.size() > 1) {
            const auto from = random() % (whole.size() - 1);
            record_reader rest{format, torn(text.substr(whole[from].end), 3, random())};
            rest.start_at(whole[from].end, whole[from + 1].line);
            const auto found = all_of(std::move(rest));
            REQUIRE(found.size() == whole.size() - from - 1);
            for (std::size_t i = 0; i < found.size(); ++i) {
                REQUIRE(found[i].raw == whole[from + 1 + i].raw);
                REQUIRE(found[i].line == whole[from + 1 + i].line);
                REQUIRE(found[i].end == whole[from + 1 + i].end);
            }
        }
    }
}

TEST_CASE("csv: fields, quotes, and what is none") {
    using fields = std::vector<csv_field>;
    CHECK(fields_of("") == fields{{"", false}});
    CHECK(fields_of("a,,\"\"") == fields{{"a", false}, {"", false}, {"", true}});
    CHECK(fields_of(" a ,\"b \"\" c\",") == fields{{" a ", false}, {"b \" c", true}, {"", false}});
    CHECK(fields_of("\"x\n,y\"") == fields{{"x\n,y", true}});
    for (const auto* bad : {"\"a\"b", "\"a", "a\"b", "a\rb", "x,\"y\" "}) {
        fields into;
        INFO(bad);
        CHECK(split_csv(bad, into));
    }
}

TEST_CASE("csv: whatever is written is read again") {
    std::mt19937_64 random{17};
    const auto alphabet = "ab,\"\n\r \\N\t\xC3\xA9"s + '\0';
    for (const std::string null : {"", "\\N", "NULL"}) {
        for (int round = 0; round < 3'000; ++round) {
            std::string text;
            std::vector<std::optional<std::string>> wanted(1 + random() % 4);
            for (std::size_t i = 0; i < wanted.size(); ++i) {
                text += i == 0 ? "" : ",";
                if (random() % 4 == 0) {
                    text += null;
                    continue;
                }
                auto& value = wanted[i].emplace(random() % 4 == 0 ? null : "");
                for (auto left = value.empty() ? random() % 6 : 0; left != 0; --left) {
                    value += alphabet[random() % alphabet.size()];
                }
                append_csv(text, value, null);
            }
            const auto records =
                all_of(record_reader{row_format::csv, torn(text + "\n", 5, random())});
            INFO(text);
            REQUIRE(records.size() == 1);
            const auto fields = fields_of(records[0].raw);
            REQUIRE(fields.size() == wanted.size());
            for (std::size_t i = 0; i < fields.size(); ++i) {
                const bool is_null = !fields[i].quoted && fields[i].text == null;
                REQUIRE(is_null == !wanted[i].has_value());
                REQUIRE((is_null || fields[i].text == *wanted[i]));
            }
        }
    }
}

TEST_CASE("table rows: the text of a field becomes a value of its type") {
    people of;
    CHECK(of.table.max_rows() == 77);
    CHECK(of.insert({"id", "name", "big", "ratio", "flag", "tree"},
                    R"(7,"12",18446744073709551615,-0.5e3,true,"{""a"":[1,null]}")") ==
          R"({"id":"7","name":"12","big":"18446744073709551615","ratio":-0.5e3,"flag":true,)"
          R"("tree":{"a":[1,null]}})");
    CHECK(of.insert({"id", "name"}, "7,") == R"({"id":"7","name":null})");
    CHECK(of.insert({"id", "name"}, "7,\"\"") == R"({"id":"7","name":""})");
    CHECK(of.insert({"id", "name"}, "7,", "-") == R"({"id":"7","name":""})");
    CHECK(of.insert({"id", "name"}, "7,-", "-") == R"({"id":"7","name":null})");
    CHECK(of.insert({"id", "name"}, "7,\"-\"", "-") == R"({"id":"7","name":"-"})");
    CHECK(of.insert({"id", "beds:line"}, "7,99") == R"({"id":"7"})");

    CHECK(of.insert({"id"}, "40000") == "INVALID_FIELD id");
    CHECK(of.insert({"id"}, "1.0") == "INVALID_FIELD id");
    CHECK(of.insert({"id", "name"}, "7,abcdef") == "INVALID_FIELD name");
    CHECK(of.insert({"id", "name"}, "7,\xFF") == "INVALID_FIELD name");
    CHECK(of.insert({"id", "ratio"}, "7,\"\"") == "INVALID_FIELD ratio");
    CHECK(of.insert({"id", "flag"}, "7,yes") == "INVALID_FIELD flag");
    CHECK(of.insert({"id", "tree"}, "7,{") == "INVALID_FIELD tree");
    CHECK(of.insert({"id", "stock"}, "7,") == "INVALID_FIELD stock"); // absent it may be, NULL not
    CHECK(of.insert({"name"}, "a") == "INVALID_FIELD id");
    CHECK(of.insert({"id", "name"}, "7") == "INVALID_CSV ");

    // Latin-1 is told as what it is; in a column that is left out anything may stand.
    CHECK(of.insert({"id", "name"}, "7,\"caf\xE9\"") == "INVALID_FIELD name");
    CHECK(of.insert({"id", "flag"}, "7,\xE9") == "INVALID_FIELD flag");
    beds::client::members members;
    const auto latin =
        of.table.from_csv(fields_of("7,\xC3\xA9t\xE9"), {"id", "name"}, {}, "", members);
    REQUIRE(latin);
    CHECK(latin->detail ==
          "field 'name' is not UTF-8, at byte 3; iconv -f latin1 -t utf8 converts it");
    CHECK_FALSE(of.table.from_csv(fields_of("7,\xE9"), {"id", "name"}, {"name"}, "", members));

    CHECK(of.table.complaint({"id", "name", "beds:code"}, {}).empty());
    CHECK(of.table.complaint({"id", "x"}, {"x"}).empty());
    CHECK(test::contains(of.table.complaint({"id", "nmae"}, {}), "did you mean 'name'?"));
    CHECK(of.table.complaint({"id", "stamp"}, {}) ==
          "field 'stamp' is not given by clients; leave the column out with --ignore stamp");
    CHECK(test::contains(of.table.complaint({"id", "id"}, {}), "twice"));
    CHECK(test::contains(of.table.complaint({"name"}, {}), "'id' is required"));
}

TEST_CASE("records: the first byte that is not UTF-8") {
    for (const std::string_view good : {"", "a", "\xC3\xA9", "\xE2\x82\xAC\xF0\x9F\x98\x80z"}) {
        CHECK_FALSE(not_utf8_at(good));
    }
    CHECK(not_utf8_at("\xE9") == 0U);
    CHECK(not_utf8_at("caf\xE9s") == 3U);
    CHECK(not_utf8_at("\xF0\x9F\x98\x80\xE2\x82") == 4U); // ends within a character
    CHECK(not_utf8_at("\xC3\xA9\xED\xA0\x80") == 2U);     // a surrogate
    CHECK(not_utf8_at("\xFF\xFE"
                      "a") == 0U);
}

TEST_CASE("import: a line of refused rows says why, and can be mended") {
    const strings columns{"id", "na,me"};
    CHECK(reject_header(columns) == "id,\"na,me\",beds:line,beds:code,beds:field,beds:detail\n");
    CHECK(reject_line(row_format::csv, "1,\"a\nb\"", columns, 7, "CONSTRAINT", "",
                      "no, \"not\" this") ==
          "1,\"a\nb\",7,CONSTRAINT,\"\",\"no, \"\"not\"\" this\"\n");
    // What was said the last time goes.
    CHECK(reject_line(row_format::csv, "1,\"\",5,OLD,x,\"y\"",
                      {"id", "name", "beds:line", "beds:code", "beds:field", "beds:detail"}, 9,
                      "NEW", "f", "d") == "1,\"\",9,NEW,f,d\n");
    const auto line = [](std::string_view raw) {
        return reject_line(row_format::ndjson, raw, {}, 3, "C", "f", "d");
    };
    const auto note = R"("beds:reject":{"line":3,"code":"C","field":"f","detail":"d"}})"s + "\n";
    CHECK(line("{\"a\": 1 } ") == "{\"a\": 1 ," + note);
    CHECK(line("{}") == "{" + note);
    CHECK(line("{\"a\":") == "{\"beds:text\":\"{\\\"a\\\":\"," + note);
    CHECK(line(R"({"a":1.50,"beds:reject":{"line":1}})") == "{\"a\":1.50," + note);

    beds::client::members members;
    CHECK_FALSE(table_rows::from_ndjson(line("{\"a\":1,\"b\":2}"), {"b"}, members));
    REQUIRE(members.size() == 1);
    CHECK(members[0].first == "a");
    CHECK(table_rows::from_ndjson(line("no object"), {}, members));
    CHECK(table_rows::from_ndjson("[1]", {}, members));
}

TEST_CASE("import state: what is saved is loaded, whole or not at all") {
    const test::folder files;
    const import_state state{.template_name = "people",
                             .account = "ann",
                             .job = "j \"1\"",
                             .content = "abc",
                             .size = 1ULL << 41U,
                             .position = 1ULL << 40U,
                             .line = 12,
                             .applied = 10,
                             .rejected = 2,
                             .uncertain = 1,
                             .rejects = "a\nb",
                             .rejects_bytes = 99,
                             .settled = true,
                             .done = true};
    CHECK(parse_import_state(to_json(state)) == state);
    const auto text = to_json(state);
    for (std::size_t size = 0; size + 1 < text.size(); ++size) {
        REQUIRE_FALSE(parse_import_state(text.substr(0, size)));
    }
    CHECK_FALSE(parse_import_state("{\"beds_import\":3}"));

    const auto file = files.path("x.beds-import");
    CHECK_FALSE(load_state(file));
    save_state(file, import_state{});
    save_state(file, state);
    CHECK(load_state(file) == state);
    CHECK_FALSE(std::filesystem::exists(files.path("x.beds-import.new")));
    files.write("other", "id,name\n");
    CHECK_THROWS_AS(load_state(files.path("other")), usage_error);
    CHECK_THROWS(save_state(files.path("no/such/folder"), state));
}

TEST_CASE("import: ids of rows") {
    const test::folder files;
    const auto one = digest_of(files.write("a.csv", "id\n1\n"), 5);
    CHECK(one == "7cde7fb64fd82bd152710cf238e017b9ab46c0592483edc067ba4f6c75fac108");
    CHECK(digest_of(files.write("b.csv", "id\n1\n"), 5) == one); // the name is nothing
    CHECK(digest_of(files.write("b.csv", "id\n1\n2\n"), 5) == one);
    CHECK(digest_of(files.path("b.csv"), 7) != one);
    CHECK(digest_of(files.write("c.csv", "id\n2\n"), 5) != one);
    CHECK(job_of_content(one).size() == 32);
    CHECK(row_id("j", "t", 5) == "import/j/t/5");
    CHECK(row_id("j", "t", 5) != row_id("j", "t", 6));
    CHECK(row_id("j", "t", 5) != row_id("j", "u", 5));
    CHECK(row_id("j", "t", 5) != row_id("k", "t", 5));
    CHECK_THROWS_AS(row_id(std::string(250, 'j'), "t", 1), usage_error);
    CHECK(with_commas(0) == "0");
    CHECK(with_commas(999) == "999");
    CHECK(with_commas(1'234'567) == "1,234,567");
}

TEST_CASE("the state of an export is read as it was written") {
    const export_state state{.question = "csv \"t\"", .rows = 5, .bytes = 77, .after = "c-1"};
    CHECK(parse_export_state(to_json(state)) == state);
    for (const auto* wrong :
         {"", "{}", "[]", R"({"beds_export":2})",
          R"({"beds_export":1,"question":"q","rows":5,"bytes":-7,"after":"c"})",
          R"({"beds_export":1,"question":"q","rows":5,"bytes":7,"after":""})"}) {
        CHECK_FALSE(parse_export_state(wrong));
    }
}
