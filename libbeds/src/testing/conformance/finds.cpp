#include "testing/conformance/harness.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>

namespace beds::testing::conformance {

namespace {

/// The rows that the cases about find know: all nullable fields are null now and then, many are
/// equal.
struct thing {
    std::int64_t id;
    std::optional<std::int64_t> n;
    std::optional<std::string> name;
    std::optional<std::string> day;
    std::optional<std::string> price;
    std::optional<bool> flag;
};

std::vector<thing> all_things() {
    std::vector<thing> all;
    const std::vector<std::string> names = {"alpha", "Alpha", "alps",  "beta", "b%ta",
                                            "b_ta",  "b\\ta", "b.ta",  "",     "été",
                                            "eta",   "b*ta",  "^beta", "日本", "日本語"};
    for (int i = 0; i < 60; ++i) {
        thing made;
        made.id = (i * 37) % 60 - 10;
        if (i % 7 != 0) {
            made.n = i % 5 - 2;
        }
        if (i % 11 != 0) {
            made.name = names[static_cast<std::size_t>(i) % names.size()];
        }
        if (i % 4 != 0) {
            made.day = "2026-0" + std::to_string(1 + i % 3) + "-15";
        }
        if (i % 5 != 0) {
            made.price = std::to_string(i % 9 * (i % 2 == 0 ? 1 : -7)) + ".50";
        }
        if (i % 3 != 0) {
            made.flag = i % 2 == 0;
        }
        all.push_back(std::move(made));
    }
    return all;
}

template <class Value>
literal or_null(const std::optional<Value>& value) {
    return value ? literal{*value} : literal{nullptr};
}

struct filled : stage {
    explicit filled(conformance_fixture& given) : stage(given, things(given)), known(all_things()) {
        operations in;
        auto insert = in.insert(target);
        for (const auto& each : known) {
            insert.row({{"id", each.id},
                        {"n", or_null(each.n)},
                        {"name", or_null(each.name)},
                        {"day", or_null(each.day)},
                        {"price", or_null(each.price)},
                        {"flag", or_null(each.flag)}});
        }
        run(in).require_count(insert, known.size());
    }

    /// Ids of those that `holds` is true for, in the order of ids.
    [[nodiscard]] std::vector<std::int64_t>
    ids(const std::function<bool(const thing&)>& holds) const {
        std::vector<std::int64_t> made;
        for (const auto& each : known) {
            if (holds(each)) {
                made.push_back(each.id);
            }
        }
        std::sort(made.begin(), made.end());
        return made;
    }

    std::vector<thing> known;
};

std::vector<std::int64_t> ids_of(const std::vector<recorded_row>& rows) {
    std::vector<std::int64_t> made;
    for (const auto& row : rows) {
        made.push_back(row.at("id").view().integer);
    }
    return made;
}

std::string text_of_ids(const std::vector<std::int64_t>& ids) {
    std::string text;
    for (const auto id : ids) {
        text += ' ' + std::to_string(id);
    }
    return text;
}

struct asked {
    std::string what;
    std::function<void(operation_maker&)> ask;
    std::function<bool(const thing&)> holds;
};

/// Runs each question as find, count and exists and compares with the model.
void compare_with_model(filled& on, const std::vector<asked>& questions) {
    for (const auto& question : questions) {
        operations ops;
        auto find = ops.find(on.target);
        auto count = ops.count(on.target);
        auto exists = ops.exists(on.target);
        find.fields({"id"});
        for (auto* op : {&find, &count, &exists}) {
            question.ask(*op);
        }
        const auto got = on.run(ops);
        const auto expected = on.ids(question.holds);
        got.require_ok(find);
        if (const auto found = ids_of(got.of(find).rows); found != expected) {
            fail("where " + question.what + " finds" + text_of_ids(found) + "\n  instead of" +
                 text_of_ids(expected));
        }
        got.require_ok(count);
        got.require_ok(exists);
        require(got.of(count).total == expected.size(), "count where " + question.what);
        require(got.of(exists).exists == !expected.empty(), "exists where " + question.what);
    }
}

void operators(conformance_fixture& fixture) {
    filled on{fixture};
    using op = comparison;
    compare_with_model(
        on,
        {{"id = 3", [](auto& q) { q.where("id", 3); }, [](const thing& t) { return t.id == 3; }},
         {"id = 1000", [](auto& q) { q.where("id", 1000); }, [](const thing&) { return false; }},
         {"n = 1", [](auto& q) { q.where("n", 1); }, [](const thing& t) { return t.n == 1; }},
         {"n <> 1 leaves null out", [](auto& q) { q.where("n", op::ne, {1}); },
          [](const thing& t) { return t.n && *t.n != 1; }},
         {"n < 0", [](auto& q) { q.where("n", op::lt, {0}); },
          [](const thing& t) { return t.n && *t.n < 0; }},
         {"n <= 0", [](auto& q) { q.where("n", op::le, {0}); },
          [](const thing& t) { return t.n && *t.n <= 0; }},
         {"n > 0", [](auto& q) { q.where("n", op::gt, {0}); },
          [](const thing& t) { return t.n && *t.n > 0; }},
         {"n >= 0", [](auto& q) { q.where("n", op::ge, {0}); },
          [](const thing& t) { return t.n && *t.n >= 0; }},
         {"n in (2, -2, 77)",
          [](auto& q) {
              q.where("n", op::in, {2, -2, 77});
          },
          [](const thing& t) { return t.n == 2 || t.n == -2; }},
         {"n in (77)", [](auto& q) { q.where("n", op::in, {77}); },
          [](const thing&) { return false; }},
         {"n in (1, 1)",
          [](auto& q) {
              q.where("n", op::in, {1, 1});
          },
          [](const thing& t) { return t.n == 1; }},
         {"n is null", [](auto& q) { q.where("n", op::is_null); },
          [](const thing& t) { return !t.n; }},
         {"n is not null", [](auto& q) { q.where("n", op::is_not_null); },
          [](const thing& t) { return t.n.has_value(); }},
         {"name is null, not empty", [](auto& q) { q.where("name", op::is_null); },
          [](const thing& t) { return !t.name; }},
         {"name = ''", [](auto& q) { q.where("name", ""); },
          [](const thing& t) { return t.name == ""; }},
         {"name = 'alpha' by its bytes", [](auto& q) { q.where("name", "alpha"); },
          [](const thing& t) { return t.name == "alpha"; }},
         {"name >= 'b'", [](auto& q) { q.where("name", op::ge, {"b"}); },
          [](const thing& t) { return t.name && *t.name >= "b"; }},
         {"name in texts",
          [](auto& q) {
              q.where("name", op::in, {"eta", "日本", "b_ta", "nope"});
          },
          [](const thing& t) { return t.name == "eta" || t.name == "日本" || t.name == "b_ta"; }},
         {"flag = true", [](auto& q) { q.where("flag", true); },
          [](const thing& t) { return t.flag == true; }},
         {"flag = false", [](auto& q) { q.where("flag", false); },
          [](const thing& t) { return t.flag == false; }},
         {"day = 2026-02-15", [](auto& q) { q.where("day", "2026-02-15"); },
          [](const thing& t) { return t.day == "2026-02-15"; }},
         {"day > 2026-01-15", [](auto& q) { q.where("day", op::gt, {"2026-01-15"}); },
          [](const thing& t) { return t.day && *t.day > "2026-01-15"; }},
         {"price = -7.50", [](auto& q) { q.where("price", "-7.50"); },
          [](const thing& t) { return t.price == "-7.50"; }},
         {"price < 0", [](auto& q) { q.where("price", op::lt, {"0"}); },
          [](const thing& t) { return t.price && std::stod(*t.price) < 0; }},
         {"price >= 2.5, as a number", [](auto& q) { q.where("price", op::ge, {"2.5"}); },
          [](const thing& t) { return t.price && std::stod(*t.price) >= 2.5; }}});
}

void conjunctions(conformance_fixture& fixture) {
    filled on{fixture};
    using op = comparison;
    compare_with_model(
        on, {{"-1 <= n < 2", [](auto& q) { q.where("n", op::ge, {-1}).where("n", op::lt, {2}); },
              [](const thing& t) { return t.n && *t.n >= -1 && *t.n < 2; }},
             {"n < 0 and n > 0", [](auto& q) { q.where("n", op::lt, {0}).where("n", op::gt, {0}); },
              [](const thing&) { return false; }},
             {"n = 1 and flag = true", [](auto& q) { q.where("n", 1).where("flag", true); },
              [](const thing& t) { return t.n == 1 && t.flag == true; }},
             {"day, price and name",
              [](auto& q) {
                  q.where("day", op::ge, {"2026-02-15"})
                      .where("price", op::gt, {"0"})
                      .where("name", op::is_not_null);
              },
              [](const thing& t) {
                  return t.day && *t.day >= "2026-02-15" && t.price && std::stod(*t.price) > 0 &&
                         t.name;
              }},
             {"id = 3 and n is null", [](auto& q) { q.where("id", 3).where("n", op::is_null); },
              [](const thing& t) { return t.id == 3 && !t.n; }},
             {"n in and n ne",
              [](auto& q) {
                  q.where("n", op::in, {1, 2}).where("n", op::ne, {2});
              },
              [](const thing& t) { return t.n == 1; }},
             {"no condition", [](auto&) {}, [](const thing&) { return true; }}});
}

void prefixes(conformance_fixture& fixture) {
    filled on{fixture};
    std::vector<asked> questions;
    for (const char* prefix : {"al", "Al", "b", "b%", "b_", "b\\", "b.", "b*", "^", "é", "e", "日",
                               "日本語", "zz", "alpha", "$"}) {
        const std::string text = prefix;
        questions.push_back(
            {"name begins with '" + text + "'",
             [text](auto& q) { q.where("name", comparison::prefix, {text}); },
             [text](const thing& t) { return t.name && t.name->starts_with(text); }});
    }
    questions.push_back({"name begins with ''",
                         [](auto& q) { q.where("name", comparison::prefix, {""}); },
                         [](const thing& t) { return t.name.has_value(); }});
    compare_with_model(on, questions);
}

void values_are_never_statements(conformance_fixture& fixture) {
    filled on{fixture};
    const auto before = on.rows();
    std::vector<asked> questions;
    for (const char* text :
         {"' OR '1'='1", "x' OR 1=1 --", "\\' OR 1=1 --", "'; DELETE FROM conf_things; --",
          "{\"$ne\":null}", "$where", "a\" OR \"\"=\"", "1; DROP TABLE conf_things", "/*", "?",
          "%s", ":id", "@x", "\x1a"}) {
        const std::string evil = text;
        questions.push_back({"name = " + evil, [evil](auto& q) { q.where("name", evil); },
                             [](const thing&) { return false; }});
        questions.push_back({"name begins with " + evil,
                             [evil](auto& q) { q.where("name", comparison::prefix, {evil}); },
                             [](const thing&) { return false; }});
    }
    compare_with_model(on, questions);
    require(on.rows() == before, "texts that look like statements change nothing");
}

/// The model's order: nulls first when ascending.
template <class Value>
int compare(const Value& left, const Value& right) {
    return left < right ? -1 : right < left ? 1 : 0;
}

int compare_by(const thing& left, const thing& right, const std::vector<std::string>& sort) {
    for (auto field : sort) {
        const bool descends = field.starts_with('-');
        if (descends) {
            field.erase(0, 1);
        }
        const auto number = [](const std::optional<std::string>& price) {
            return price ? std::optional{std::stod(*price)} : std::nullopt;
        };
        int order = 0;
        if (field == "id") {
            order = compare(left.id, right.id);
        } else if (field == "n") {
            order = compare(left.n, right.n);
        } else if (field == "name") {
            order = compare(left.name, right.name);
        } else if (field == "day") {
            order = compare(left.day, right.day);
        } else if (field == "price") {
            order = compare(number(left.price), number(right.price));
        } else {
            order = compare(left.flag, right.flag);
        }
        if (order != 0) {
            return descends ? -order : order;
        }
    }
    return compare(left.id, right.id);
}

std::vector<std::int64_t> sorted_ids(const filled& on, const std::vector<std::string>& sort) {
    auto all = on.known;
    std::sort(all.begin(), all.end(), [&sort](const thing& left, const thing& right) {
        return compare_by(left, right, sort) < 0;
    });
    std::vector<std::int64_t> ids;
    for (const auto& each : all) {
        ids.push_back(each.id);
    }
    return ids;
}

const std::vector<std::vector<std::string>>& orders() {
    static const std::vector<std::vector<std::string>> all = {{},
                                                              {"id"},
                                                              {"-id"},
                                                              {"n"},
                                                              {"-n"},
                                                              {"name"},
                                                              {"-name"},
                                                              {"flag"},
                                                              {"-flag"},
                                                              {"day", "price"},
                                                              {"-day", "price"},
                                                              {"day", "-price"},
                                                              {"-day", "-price"},
                                                              {"n", "-id"},
                                                              {"-n", "-id"},
                                                              {"-price"},
                                                              {"n", "name", "-day"}};
    return all;
}

std::string text_of_order(const std::vector<std::string>& sort) {
    std::string text = "sort";
    for (const auto& field : sort) {
        text += ' ' + field;
    }
    return text;
}

void sorting(conformance_fixture& fixture) {
    filled on{fixture};
    for (const auto& sort : orders()) {
        operations ops;
        auto find = ops.find(on.target);
        find.sort(sort);
        const auto got = on.run(ops);
        got.require_ok(find);
        require(!got.of(find).next.has_value(), "the last page has no next");
        if (const auto found = ids_of(got.of(find).rows); found != sorted_ids(on, sort)) {
            fail(text_of_order(sort) + " gives" + text_of_ids(found) + "\n  instead of" +
                 text_of_ids(sorted_ids(on, sort)));
        }
    }
}

void paging(conformance_fixture& fixture) {
    filled on{fixture};
    for (const auto& sort : orders()) {
        for (const std::uint32_t size : {1U, 2U, 7U, 59U, 60U, 61U}) {
            // Page after page of size 1 is slow for an engine and shows little more than size 2.
            if (size == 1 && sort.size() > 1) {
                continue;
            }
            std::vector<std::int64_t> seen;
            std::optional<recorded_cursor> at;
            for (std::size_t page = 0; page <= on.known.size(); ++page) {
                operations ops;
                auto find = ops.find(on.target);
                // The sort fields need not be among those that are returned.
                find.sort(sort).limit(size).fields({"id"});
                if (at) {
                    find.after(*at);
                }
                const auto got = on.run(ops);
                got.require_ok(find);
                const auto& result = got.of(find);
                require(result.rows.size() <= size, "a page has at most `limit` rows");
                require(!result.next || result.rows.size() == size, "only a full page has a next");
                const auto ids = ids_of(result.rows);
                seen.insert(seen.end(), ids.begin(), ids.end());
                at = result.next;
                if (!at) {
                    break;
                }
                require(at->position.size() == find.bound().sort.size(),
                        "a cursor holds a value for each sort field");
            }
            if (seen != sorted_ids(on, sort)) {
                fail(text_of_order(sort) + " in pages of " + std::to_string(size) + " gives" +
                     text_of_ids(seen) + "\n  instead of" + text_of_ids(sorted_ids(on, sort)));
            }
        }
    }
}

void paging_with_where(conformance_fixture& fixture) {
    filled on{fixture};
    const auto expected = on.ids([](const thing& t) { return t.n && *t.n >= 0; });
    std::vector<std::int64_t> seen;
    std::optional<recorded_cursor> at;
    do {
        operations ops;
        auto find = ops.find(on.target);
        find.where("n", comparison::ge, {0}).sort({"-n", "name"}).limit(4).fields({"name", "id"});
        if (at) {
            find.after(*at);
        }
        const auto got = on.run(ops);
        got.require_ok(find);
        const auto ids = ids_of(got.of(find).rows);
        seen.insert(seen.end(), ids.begin(), ids.end());
        at = got.of(find).next;
    } while (at && seen.size() <= on.known.size());
    std::sort(seen.begin(), seen.end());
    require(seen == expected, "pages with a filter show every row once");
}

void limits(conformance_fixture& fixture) {
    filled on{fixture};
    operations ops;
    auto exact = ops.find(on.target);
    exact.where("n", 1).limit(
        static_cast<std::uint32_t>(on.ids([](const thing& t) { return t.n == 1; }).size()));
    auto less = ops.find(on.target);
    less.where("n", 1).limit(2);
    auto none = ops.find(on.target);
    none.where("n", 99).limit(2);
    const auto got = on.run(ops);
    got.require_ok(exact);
    require(!got.of(exact).next, "no next page when the rows fill the limit exactly");
    got.require_ok(less);
    require(got.of(less).rows.size() == 2 && got.of(less).next.has_value(),
            "a next page exists when rows are left");
    got.require_rows(none, {});
    require(!got.of(none).next, "nothing found, nothing next");
}

void rows_of_several_finds_stay_apart(conformance_fixture& fixture) {
    filled on{fixture};
    operations ops;
    std::vector<operation_maker> finds;
    for (int n = -3; n <= 3; ++n) {
        auto find = ops.find(on.target);
        find.where("n", n).fields({"id"});
        finds.push_back(find);
    }
    const auto got = on.run(ops);
    for (int n = -3; n <= 3; ++n) {
        const auto& find = finds[static_cast<std::size_t>(n + 3)];
        got.require_ok(find);
        require(ids_of(got.of(find).rows) == on.ids([n](const thing& t) { return t.n == n; }),
                "each find of a group has its own rows");
    }
}

} // namespace

void add_finds(cases& to) {
    to.push_back({"where: every operator, by find, count and exists", operators});
    to.push_back({"where: several conditions", conjunctions});
    to.push_back({"where: prefixes, with characters that mean something to an engine", prefixes});
    to.push_back({"where: values are never statements", values_are_never_statements});
    to.push_back({"sort: nulls first, ties by key, both directions", sorting});
    to.push_back({"paging: complete and without duplicates", paging});
    to.push_back({"paging: with a filter", paging_with_where});
    to.push_back({"limit and next", limits});
    to.push_back({"several finds in one group", rows_of_several_finds_stay_apart});
}

} // namespace beds::testing::conformance
