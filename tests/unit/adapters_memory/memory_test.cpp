#include "support/catch.hpp"
#include "unit/adapters_memory/work.hpp"

#include <stdexcept>
#include <string>

using namespace beds;
using adapters::commit_result;
using adapters::group_mode;
using adapters::lookup;
using adapters::step_result;
using adapters::work_kind;
using testing::field_options;
using testing::operations;
using testing::template_maker;

namespace {

templates::template_def accounts() {
    return template_maker{"accounts"}
        .field("id", "int64", {.source = templates::generated::database})
        .field("owner", "string:40")
        .field("balance", "decimal(6,2)", {.nullable = false})
        .field("data", "document")
        .key({"id"})
        .unique({"owner"})
        .build();
}

std::vector<std::string> rows(adapters::session& on, const templates::template_def& target,
                              std::vector<std::string> fields = {}) {
    operations ops;
    auto find = ops.find(target);
    if (!fields.empty()) {
        find.fields(std::move(fields));
    }
    const auto got = tests::run(on, ops, group_mode::independent, work_kind::read);
    std::vector<std::string> made;
    for (const auto& row : got.sink.of(0).rows) {
        made.push_back(testing::to_string(row));
    }
    return made;
}

} // namespace

TEST_CASE("memory: templates of one object share its rows by column") {
    const auto memory = adapters::make_memory("rel");
    const auto session = tests::connected(*memory);
    const auto all = accounts();
    const auto few = template_maker{"owners"}
                         .object("accounts")
                         .field("who", "string:40", {.column = "owner"})
                         .field("number", "int64", {.column = "id"})
                         .field("extra", "int32")
                         .key({"number"})
                         .build();
    CHECK(rows(*session, few).empty());
    operations in;
    in.insert(all, {{"owner", "Ana"}, {"balance", "1.00"}});
    tests::run(*session, in);
    CHECK(rows(*session, few) ==
          std::vector<std::string>{"{who: \"Ana\", number: 1, extra: null}"});
    operations more;
    more.insert(few, {{"who", "Beto"}, {"number", 7}, {"extra", 5}});
    tests::run(*session, more);
    CHECK(rows(*session, few) == std::vector<std::string>{"{who: \"Ana\", number: 1, extra: null}",
                                                          "{who: \"Beto\", number: 7, extra: 5}"});
    // A generated key follows those that were given.
    operations next;
    next.insert(all, {{"owner", "Cora"}, {"balance", "1.00"}});
    CHECK(tests::run(*session, next).sink.of(0).keys[0][0].view().integer == 8);

    const auto other_key = template_maker{"others"}
                               .object("accounts")
                               .field("who", "string:40", {.column = "owner"})
                               .key({"who"})
                               .build();
    operations wrong;
    wrong.insert(other_key, {{"who", "x"}});
    CHECK(tests::run(*session, wrong).outcomes[0].code == core::code::internal);
}

TEST_CASE("memory: a template that was loaded anew is not mistaken for the old one") {
    const auto memory = adapters::make_memory("rel");
    const auto session = tests::connected(*memory);
    auto place = std::make_unique<templates::template_def>(accounts());
    operations in;
    in.insert(*place, {{"owner", "Ana"}, {"balance", "1.00"}});
    tests::run(*session, in);
    // The same address, other fields in another order.
    *place = template_maker{"accounts"}
                 .field("balance", "decimal(6,2)")
                 .field("number", "int64", {.column = "id"})
                 .key({"number"})
                 .build();
    operations out;
    out.fetch(*place, {1});
    const auto got = tests::run(*session, out, group_mode::independent, work_kind::read);
    REQUIRE(got.sink.of(0).rows.size() == 1);
    CHECK(testing::to_string(got.sink.of(0).rows[0]) == "{balance: decimal 1.00, number: 1}");
}

TEST_CASE("memory: sums stay within precision and scale") {
    const auto memory = adapters::make_memory("rel");
    const auto session = tests::connected(*memory);
    const auto target = template_maker{"sums"}
                            .field("id", "int64")
                            .field("d", "decimal(38,4)")
                            .field("u", "uint64")
                            .field("i", "int64")
                            .field("f", "double")
                            .key({"id"})
                            .build();
    operations in;
    in.insert(target, {{"id", 1},
                       {"d", "9999999999999999999999999999999999.9998"},
                       {"u", std::uint64_t{18446744073709551614U}},
                       {"i", std::int64_t{-9223372036854775807}},
                       {"f", 1.7e308}});
    in.insert(target, {{"id", 2}, {"d", "-0.0001"}, {"u", 0U}, {"i", nullptr}, {"f", 0.0}});
    tests::run(*session, in);
    const auto add = [&](int id, const char* field, testing::literal by) {
        operations ops;
        ops.update(target, {id}).inc({{field, std::move(by)}});
        return tests::run(*session, ops).outcomes[0];
    };
    CHECK(add(1, "d", "0.0001").ok());
    CHECK(add(1, "d", "0.0001").code == core::code::constraint);
    CHECK(add(1, "d", "9999999999999999999999999999999999.9999").field == "d");
    CHECK(add(1, "u", 1U).ok());
    CHECK(add(1, "u", 1U).code == core::code::constraint);
    CHECK(add(1, "i", -1).ok());
    CHECK(add(1, "i", -1).code == core::code::constraint);
    CHECK(add(1, "f", 1.7e308).code == core::code::constraint);
    CHECK(add(2, "d", "0.0001").ok());
    CHECK(add(2, "d", "-0.0500").ok());
    CHECK(add(2, "i", 1).code == core::code::constraint); // null has nothing to add to
    CHECK(rows(*session, target) ==
          std::vector<std::string>{"{id: 1, d: decimal 9999999999999999999999999999999999.9999, u: "
                                   "18446744073709551615u, i: -9223372036854775808, f: 1.7e+308}",
                                   "{id: 2, d: decimal -0.0500, u: 0u, i: null, f: 0}"});
}

TEST_CASE("memory: a rollback undoes swaps of keys and unique values") {
    const auto memory = adapters::make_memory("rel");
    const auto session = tests::connected(*memory);
    const auto target = accounts();
    operations in;
    for (const char* owner : {"a", "b", "c"}) {
        in.insert(target, {{"owner", owner}, {"balance", "1.00"}, {"data", R"({"x":[1]})"}});
    }
    tests::run(*session, in);
    const auto before = rows(*session, target);

    operations ops;
    ops.update(target, {1}).set({{"owner", "tmp"}, {"id", 10}});
    ops.update(target, {2}).set({{"owner", "a"}, {"id", 1}});
    ops.update(target, {10}).set({{"owner", "b"}, {"id", 2}});
    ops.remove(target, {3});
    ops.insert(target, {{"id", 3}, {"owner", "d"}, {"balance", "2.00"}});
    for (const bool keep : {false, true}) {
        tests::begin(*session, work_kind::write);
        tests::answer got;
        got.outcomes.resize(ops.size());
        REQUIRE(session->run(ops.group(), got.sink, got.outcomes, ops.memory()) ==
                step_result::done);
        for (const auto& outcome : got.outcomes) {
            REQUIRE(outcome.ok());
        }
        if (keep) {
            session->commit();
        } else {
            session->rollback();
            REQUIRE(rows(*session, target) == before);
        }
    }
    CHECK(rows(*session, target, {"id", "owner"}) ==
          std::vector<std::string>{"{id: 1, owner: \"a\"}", "{id: 2, owner: \"b\"}",
                                   "{id: 3, owner: \"d\"}"});
    // The indexes follow: what is free and what is taken.
    operations after;
    after.insert(target, {{"owner", "c"}, {"balance", "1.00"}});
    after.insert(target, {{"owner", "d"}, {"balance", "1.00"}});
    const auto got = tests::run(*session, after);
    CHECK(got.outcomes[0].ok());
    CHECK(got.outcomes[1].code == core::code::duplicate_key);
}

TEST_CASE("memory: a session that goes away undoes its unit and lets others go on") {
    const auto memory = adapters::make_memory("rel");
    const auto target = accounts();
    auto first = tests::connected(*memory);
    auto second = tests::connected(*memory);
    operations in;
    in.insert(target, {{"owner", "a"}, {"balance", "1.00"}});
    tests::begin(*first, work_kind::write);
    tests::answer got;
    got.outcomes.resize(1);
    first->run(in.group(), got.sink, got.outcomes, in.memory());
    const auto soon = core::deadline::after(std::chrono::milliseconds{20});
    CHECK(tests::begin(*second, work_kind::write, soon) == step_result::expired);
    CHECK(tests::begin(*second, work_kind::read,
                       core::deadline::after(std::chrono::milliseconds{20})) == step_result::done);
    operations read;
    read.count(target);
    CHECK(second->run(read.group(), got.sink, got.outcomes, read.memory()) == step_result::expired);
    first.reset();
    CHECK(rows(*second, target).empty());
    CHECK(tests::begin(*second, work_kind::write) == step_result::done);
    CHECK(second->commit() == commit_result::applied);
}

TEST_CASE("memory: steps out of order do no harm") {
    const auto memory = adapters::make_memory("rel");
    const auto target = accounts();
    const auto session = memory->open_session({});
    CHECK_FALSE(session->usable());
    CHECK(tests::begin(*session, work_kind::write) == step_result::broken);
    session->connect(core::deadline::never());
    operations ops;
    ops.insert(target, {{"owner", "a"}, {"balance", "1.00"}});
    tests::answer got;
    got.outcomes.resize(1);
    CHECK(session->run(ops.group(), got.sink, got.outcomes, ops.memory()) == step_result::broken);
    CHECK(session->seal({}) == step_result::broken);
    CHECK(session->commit() == commit_result::none);
    session->rollback();
    // A write in a unit that reads is a defect of the caller, and changes nothing.
    tests::begin(*session, work_kind::read);
    CHECK(session->run(ops.group(), got.sink, got.outcomes, ops.memory()) == step_result::done);
    CHECK(got.outcomes[0].code == core::code::internal);
    session->commit();
    CHECK(rows(*session, target).empty());
}

TEST_CASE("memory: the inbox forgets the oldest replies") {
    adapters::memory_settings settings;
    settings.inbox_replies = 3;
    const auto memory = adapters::make_memory("rel", settings);
    const auto session = tests::connected(*memory);
    const std::vector<std::string> names = {"a", "b", "c", "d", "e"};
    for (const auto& name : names) {
        tests::begin(*session, work_kind::write);
        const adapters::sealed_reply reply{{0, "p", name, core::hash(name)}, name};
        REQUIRE(session->seal({&reply, 1}) == step_result::done);
        session->commit();
    }
    std::vector<adapters::operation_identity> ids;
    for (const auto& name : names) {
        ids.push_back({static_cast<core::op_index>(ids.size()), "p", name, core::hash(name)});
    }
    core::arena arena;
    std::vector<adapters::stored_reply> known;
    session->begin(work_kind::read, core::deadline::never(), ids, lookup::all, arena, known);
    session->commit();
    REQUIRE(known.size() == 3);
    CHECK(known[0].reply == "c");
    CHECK(known[2].reply == "e");
}

TEST_CASE("memory: check names what the engine does not have") {
    templates::call call;
    call.name = "transfer";
    call.routine = "sp_transfer";
    auto target = template_maker{"odd"}
                      .field("id", "uuid", {.source = templates::generated::database})
                      .field("name", "string", {.collation = "utf8mb4_general_ci"})
                      .field("bin", "string", {.collation = "utf8mb4_bin"})
                      .key({"id"})
                      .unique({"name"})
                      .call(call)
                      .build();
    target.read_view = "v_odd";
    target.write.insert = "sp_insert";
    target.indexes[0].expire_after = std::chrono::hours{1};
    target.indexes[0].where_json = "{}";
    const auto memory = adapters::make_memory("rel");
    CHECK(memory->check(target).size() == 7);
    CHECK(memory->check(accounts()).empty());
    adapters::memory_settings settings;
    settings.calls["sp_transfer"] = [](adapters::memory_call&) { return core::outcome{}; };
    CHECK(adapters::make_memory("rel", settings)->check(target).size() == 6);
    CHECK(memory->engine_name() == "memory");
    CHECK(memory->connection_name() == "rel");
    CHECK_FALSE(memory->runs_alone(target, core::verb::call, &target.calls[0]));
}

TEST_CASE("memory: procedures that fail leave nothing, whatever they did before") {
    const auto target = [] {
        auto maker = template_maker{"accounts"};
        maker.field("id", "int64").field("n", "int32").key({"id"});
        for (const char* name : {"throws", "throws_int", "wide_row", "writes", "reads"}) {
            templates::call call;
            call.name = name;
            call.routine = name;
            call.op_class = call.name == "reads" ? core::op_class::read : core::op_class::write;
            call.returns = {{"rows", core::row_layout{{{"n", *core::parse_field_type("int32")}}}}};
            maker.call(call);
        }
        return maker.build();
    }();
    const auto insert = [](adapters::memory_call& call, int id) {
        const adapters::assignment row[] = {{0, core::value::of_int(id)},
                                            {1, core::value::of_int(id)}};
        return call.insert(call.target(), row);
    };
    adapters::memory_settings settings;
    settings.calls["throws"] = [&](adapters::memory_call& call) -> core::outcome {
        insert(call, 1);
        throw std::runtime_error{"secret text"};
    };
    settings.calls["throws_int"] = [&](adapters::memory_call& call) -> core::outcome {
        insert(call, 2);
        throw 42;
    };
    settings.calls["wide_row"] = [&](adapters::memory_call& call) -> core::outcome {
        insert(call, 3);
        const core::value two[2] = {};
        call.begin_set(0);
        call.row(two);
        return {};
    };
    settings.calls["writes"] = [&](adapters::memory_call& call) -> core::outcome {
        insert(call, 4);
        // A write that fails inside is the procedure's to handle.
        return insert(call, 4).code == core::code::duplicate_key ? core::outcome{}
                                                                 : call.reject("WRONG");
    };
    settings.calls["reads"] = [&](adapters::memory_call& call) { return insert(call, 5); };

    std::string logged;
    const auto memory = adapters::make_memory("rel", settings);
    adapters::session_context context;
    context.name = "rel.write/0";
    context.log = {observe::level::debug, [&](const observe::log_record& record) {
                       logged += std::string{record.id} + ' ' + std::string{record.source} + ' ' +
                                 std::string{record.text} + '\n';
                   }};
    const auto session = memory->open_session(std::move(context));
    session->connect(core::deadline::never());
    operations ops;
    for (const char* name : {"throws", "throws_int", "wide_row", "writes", "reads"}) {
        ops.call(target, name, {});
    }
    const auto got = tests::run(*session, ops);
    for (const std::size_t i : {0U, 1U, 2U}) {
        CHECK(got.outcomes[i].code == core::code::internal);
        CHECK(got.outcomes[i].effect == core::effect::none);
        CHECK(got.outcomes[i].detail.find("secret") == std::string_view::npos);
    }
    CHECK(logged.find("BEDS_MEMORY_PROCEDURE rel.write/0 procedure 'throws' threw: secret text") !=
          std::string::npos);
    CHECK(got.outcomes[3].ok());
    CHECK(got.outcomes[3].effect == core::effect::applied);
    CHECK(rows(*session, target) == std::vector<std::string>{"{id: 4, n: 4}", "{id: 5, n: 5}"});
    // In a unit that reads, nothing is written.
    operations read;
    read.call(target, "reads", {});
    const auto refused = tests::run(*session, read, group_mode::independent, work_kind::read);
    CHECK(refused.outcomes[0].code == core::code::internal);
}
