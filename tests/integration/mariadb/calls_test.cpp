#include "integration/mariadb/world.hpp"
#include "support/catch.hpp"

#include <thread>

using namespace beds;
using namespace beds::test;
using adapters::commit_result;
using core::code;
using core::effect;
using testing::operations;

namespace {

core::field_type type(std::string_view text) {
    return *core::parse_field_type(text);
}

templates::call made_call(std::string name, core::op_class op_class,
                          std::vector<templates::argument> args,
                          std::vector<templates::argument> out = {}) {
    templates::call made;
    made.name = name;
    made.routine = "sp_" + name;
    made.op_class = op_class;
    made.args = std::move(args);
    made.out = std::move(out);
    std::vector<core::row_layout::column> columns;
    for (const auto& each : made.out) {
        columns.push_back({each.name, each.type});
    }
    made.out_layout = core::row_layout{columns};
    made.inout = static_cast<std::size_t>(
        std::count_if(made.out.begin(), made.out.end(), [&](const templates::argument& each) {
            return std::any_of(made.args.begin(), made.args.end(),
                               [&](const auto& arg) { return arg.name == each.name; });
        }));
    return made;
}

templates::template_def with_calls() {
    auto transfer = made_call(
        "transfer", core::op_class::write,
        {{"from", type("int64")}, {"to", type("int64")}, {"amount", type("decimal(18,2)")}},
        {{"new_balance", type("decimal(18,2)")}});
    transfer.errors = {{"45001", "INSUFFICIENT_FUNDS"}};
    auto statement = made_call("statement", core::op_class::read, {{"account", type("int64")}});
    statement.returns.push_back(
        {"summary", core::row_layout{{{"total", type("decimal(18,2)")}, {"n", type("int64")}}}});
    statement.returns.push_back(
        {"lines", core::row_layout{{{"id", type("int64")}, {"owner", type("string")}}}});
    statement.returns.push_back({"never", core::row_layout{{{"x", type("int64")}}}});
    return testing::template_maker("accounts")
        .field("id", "int64")
        .field("owner", "string:40", {.indexed = true})
        .field("balance", "decimal(18,2)")
        .field("status", "enum:open,frozen,closed")
        .key({"id"})
        .unique({"owner"})
        .call(std::move(transfer))
        .call(std::move(statement))
        .call(made_call("signal", core::op_class::write, {{"state", type("string")}}))
        .call(made_call("committer", core::op_class::write, {{"id", type("int64")}}))
        .call(made_call("swallower", core::op_class::write, {{"id", type("int64")}}))
        .call(made_call("caller", core::op_class::write, {{"id", type("int64")}}))
        .build();
}

void make_procedures(const world& here) {
    here.sql(R"(DELIMITER //
CREATE PROCEDURE sp_transfer(IN p_from BIGINT, IN p_to BIGINT, IN p_amount DECIMAL(18,2), OUT new_balance DECIMAL(18,2))
BEGIN
  DECLARE had DECIMAL(18,2);
  UPDATE accounts SET balance = balance + p_amount WHERE id = p_to; -- first, so that it must be undone
  SELECT balance INTO had FROM accounts WHERE id = p_from FOR UPDATE;
  IF had < p_amount THEN SIGNAL SQLSTATE '45001' SET MESSAGE_TEXT = 'COMMIT secret 4711'; END IF;
  UPDATE accounts SET balance = balance - p_amount WHERE id = p_from;
  SELECT balance INTO new_balance FROM accounts WHERE id = p_from;
END//
CREATE PROCEDURE sp_statement(IN p_account BIGINT)
BEGIN
  SELECT SUM(balance) AS total, COUNT(*) AS n FROM accounts WHERE id <= p_account;
  SELECT id, owner FROM accounts WHERE id <= p_account ORDER BY id;
END//
CREATE PROCEDURE sp_signal(IN p_state CHAR(5))
BEGIN
  UPDATE accounts SET balance = 0 WHERE id = 1;
  IF p_state = '45999' THEN SIGNAL SQLSTATE '45999';
  ELSEIF p_state = '45213' THEN SIGNAL SQLSTATE '45213' SET MYSQL_ERRNO = 1213;
  ELSEIF p_state = '22012' THEN SIGNAL SQLSTATE '22012';
  ELSE INSERT INTO accounts (id, owner) VALUES (1, 'again'); END IF;
END//
CREATE PROCEDURE sp_committer(IN p_id BIGINT)
BEGIN
  UPDATE accounts SET balance = balance + 1 WHERE id = p_id;
  COMMIT;
  IF p_id = 2 THEN SIGNAL SQLSTATE '45000'; END IF;
END//
CREATE PROCEDURE sp_swallower(IN p_id BIGINT)
BEGIN
  DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END;
  UPDATE accounts SET balance = balance + 1 WHERE id = p_id;
END//
CREATE PROCEDURE sp_caller(IN p_id BIGINT) BEGIN CALL `sp_committer`(p_id); END//
DELIMITER ;
)");
}

} // namespace

TEST_CASE("calls: out arguments, refusals, several result sets", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    make_procedures(here);
    const auto target = with_calls();
    auto session = here.session();
    const templates::template_def* targets[] = {&target};
    here.adapter().inspect(*session, targets, core::deadline::after(5s));

    operations work;
    work.call(target, "transfer", {1, 2, "30.50"});
    work.call(target, "transfer", {1, 2, "1000.00"});
    work.call(target, "transfer", {3, 2, "0.50"});
    const identities who{.ids = {"a", "b", "c"}};
    const auto got = write(*session, work, who);
    INFO(here.log().text());
    REQUIRE(got.commit == commit_result::applied);
    CHECK(got[0].effect == effect::applied);
    REQUIRE(got.rows.of(0).out);
    CHECK(testing::to_string(*got.rows.of(0).out).find("69.50") != std::string::npos);
    CHECK(got[1].code == code::rejected);
    CHECK(got[1].reason == "INSUFFICIENT_FUNDS");
    CHECK(got[1].effect == effect::none);
    CHECK(got[1].detail.find("4711") == std::string_view::npos);
    CHECK_FALSE(got[0].at_least_once);
    CHECK(got[2].effect == effect::applied);
    CHECK(here.sql("SELECT balance FROM accounts WHERE id = 2") == "131.00\n");
    CHECK(here.sql("SELECT SUM(balance) FROM accounts") == "1000.00\n");

    operations reads;
    reads.call(target, "statement", {3});
    reads.call(target, "statement", {-1});
    const auto sets = read(*session, reads);
    REQUIRE(sets[0].ok());
    CHECK(sets[0].effect == effect::none);
    REQUIRE(sets.rows.of(0).sets.size() == 3);
    CHECK(sets.rows.of(0).sets[0].name == "summary");
    CHECK(sets.rows.of(0).sets[0].rows.size() == 1);
    CHECK(sets.rows.of(0).sets[1].name == "lines");
    CHECK(sets.rows.of(0).sets[1].rows.size() == 3);
    CHECK(sets.rows.of(0).sets[2].rows.empty());
    CHECK(sets.rows.of(1).sets[1].rows.empty());
    CHECK(sets.rows.violations().empty());
}

TEST_CASE("INOUT parameters and stored functions, alone and together", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    here.sql(R"(DELIMITER //
CREATE PROCEDURE sp_draw(IN p_id BIGINT, INOUT p_amount DECIMAL(18,2), OUT p_left DECIMAL(18,2))
BEGIN
  SELECT LEAST(balance, p_amount), balance - LEAST(balance, p_amount) INTO p_amount, p_left
    FROM accounts WHERE id = p_id FOR UPDATE;
  UPDATE accounts SET balance = p_left WHERE id = p_id;
END//
CREATE FUNCTION fn_worth(p_upto BIGINT) RETURNS DECIMAL(18,2) READS SQL DATA
RETURN (SELECT SUM(balance) FROM accounts WHERE id <= p_upto)//
CREATE FUNCTION fn_add(p_id BIGINT, p_amount DECIMAL(18,2)) RETURNS INT MODIFIES SQL DATA
BEGIN
  UPDATE accounts SET balance = balance + p_amount WHERE id = p_id;
  IF p_amount < 0 THEN SIGNAL SQLSTATE '45001'; END IF;
  RETURN ROW_COUNT();
END//
DELIMITER ;
)");
    const auto money = type("decimal(18,2)");
    auto worth =
        made_call("worth", core::op_class::read, {{"upto", type("int64")}}, {{"worth", money}});
    worth.routine = "fn_worth()";
    auto add = made_call("add", core::op_class::write, {{"id", type("int64")}, {"amount", money}},
                         {{"changed", type("int32")}});
    add.routine = "fn_add()";
    add.errors = {{"45001", "NEGATIVE"}};
    const auto target = testing::template_maker("accounts")
                            .field("id", "int64")
                            .field("balance", "decimal(18,2)")
                            .key({"id"})
                            .call(made_call("draw", core::op_class::write,
                                            {{"id", type("int64")}, {"amount", money}},
                                            {{"amount", money}, {"left", money}}))
                            .call(std::move(worth))
                            .call(std::move(add))
                            .build();
    auto session = here.session();
    const templates::template_def* targets[] = {&target};
    here.adapter().inspect(*session, targets, core::deadline::after(5s));
    const auto alone = [&](std::string_view name) {
        return here.adapter().runs_alone(target, core::verb::call, target.find_call(name));
    };
    CHECK_FALSE(alone("draw"));
    CHECK_FALSE(alone("worth"));
    CHECK_FALSE(alone("add"));
    const auto out_of = [](const auto& got, core::op_index i) {
        return got.rows.of(i).out ? testing::to_string(*got.rows.of(i).out) : std::string{};
    };
    const auto has = [](const std::string& text, std::string_view part) {
        INFO(text);
        return text.find(part) != std::string::npos;
    };

    operations one;
    one.call(target, "draw", {1, "500.00"});
    auto got = write(*session, one, {.ids = {"a"}});
    REQUIRE(got[0].effect == effect::applied);
    CHECK(has(out_of(got, 0), "100.00"));
    CHECK(has(out_of(got, 0), "0.00"));

    operations several;
    several.call(target, "draw", {2, "30.00"});
    several.call(target, "draw", {2, "30.00"});
    several.call(target, "draw", {2, "60.00"});
    got = write(*session, several, {.ids = {"b", "c", "d"}});
    CHECK(has(out_of(got, 0), "70.00"));
    CHECK(has(out_of(got, 1), "30.00"));
    CHECK(has(out_of(got, 2), "40.00"));
    CHECK(has(out_of(got, 2), "0.00"));
    CHECK(here.sql("SELECT SUM(balance) FROM accounts WHERE id < 3") == "0.00\n");

    for (const unsigned count : {1U, 3U}) {
        CAPTURE(count);
        operations reads;
        for (unsigned i = 0; i < count; ++i) {
            reads.call(target, "worth", {static_cast<int>(3 + i)});
        }
        const auto sums = read(*session, reads);
        for (unsigned i = 0; i < count; ++i) {
            REQUIRE(sums[i].ok());
            CHECK(sums[i].effect == effect::none);
            CHECK(has(out_of(sums, i), std::to_string(100 * (i + 1)) + ".00"));
        }
    }

    operations adds;
    adds.call(target, "add", {3, "1.00"});
    adds.call(target, "add", {4, "-1.00"});
    adds.call(target, "add", {5, "2.00"});
    got = write(*session, adds, {.ids = {"e", "f", "g"}});
    INFO(here.log().text());
    REQUIRE(got.commit == commit_result::applied);
    CHECK(got[0].effect == effect::applied);
    CHECK(has(out_of(got, 0), "1"));
    CHECK(got[1].code == code::rejected);
    CHECK(got[1].reason == "NEGATIVE");
    CHECK(got[1].effect == effect::none);
    CHECK(got[2].effect == effect::applied);
    CHECK(here.sql("SELECT SUM(balance) FROM accounts") == "803.00\n");
    CHECK(got.rows.violations().empty());
}

TEST_CASE("what a procedure signals", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    make_procedures(here);
    const auto target = with_calls();
    auto session = here.session();
    const templates::template_def* targets[] = {&target};
    here.adapter().inspect(*session, targets, core::deadline::after(5s));
    operations work;
    work.call(target, "signal", {"45999"});
    work.call(target, "signal", {"45213"});
    work.call(target, "signal", {"22012"});
    work.call(target, "signal", {"dup"});
    const auto got = write(*session, work);
    CHECK(got[0].code == code::rejected);
    CHECK(got[0].reason == "UNSPECIFIED");
    CHECK(got[1].code == code::rejected);
    CHECK(got[2].code == code::internal);
    CHECK(got[3].code == code::duplicate_key);
    CHECK(got[3].field.empty()); // of which table is not known
    for (unsigned i = 0; i < 4; ++i) {
        CHECK(got[i].effect == effect::none);
    }
    CHECK(here.sql("SELECT SUM(balance) FROM accounts") == "1000.00\n");
}

TEST_CASE("procedures that commit run alone and say so", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    make_procedures(here);
    const auto target = with_calls();
    auto& adapter = here.adapter();
    const auto alone = [&](std::string_view name) {
        return adapter.runs_alone(target, core::verb::call, target.find_call(name));
    };
    CHECK(alone("transfer")); // not known yet: the careful answer
    auto session = here.session();
    const templates::template_def* targets[] = {&target};
    adapter.inspect(*session, targets, core::deadline::after(5s));
    CHECK_FALSE(alone("transfer"));
    CHECK_FALSE(alone("statement"));
    CHECK_FALSE(alone("swallower"));
    CHECK(alone("committer"));
    CHECK(alone("caller"));
    CHECK_FALSE(adapter.runs_alone(target, core::verb::insert, nullptr));

    operations work;
    work.call(target, "committer", {1});
    auto got = write(*session, work);
    CHECK(got[0].effect == effect::applied);
    CHECK(got[0].at_least_once);
    operations fails;
    fails.call(target, "committer", {2});
    got = write(*session, fails);
    CHECK(got[0].code == code::rejected);
    CHECK(got[0].effect == effect::unknown);
}

TEST_CASE("an account that may execute but not look", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    make_procedures(here);
    const std::string user = unique_name("beds_u");
    here.control().mariadb_root("CREATE USER '" + user + "'@'%' IDENTIFIED BY 'pw';" +
                                "GRANT EXECUTE ON " + here.database() + ".* TO '" + user +
                                "'@'%';" + "GRANT SELECT, INSERT ON " + here.database() +
                                ".beds_inbox TO '" + user + "'@'%';");
    auto settings = here.settings();
    settings.user = user;
    settings.pass = core::secret{"pw"};
    const auto target = with_calls();
    const auto adapter = adapters::make_mariadb("rel", settings);
    auto session = adapter->open_session({.name = "least", .supervisor = nullptr, .log = {}});
    session->connect(core::deadline::after(5s));
    const templates::template_def* targets[] = {&target};
    adapter->inspect(*session, targets, core::deadline::after(5s));
    CHECK(adapter->runs_alone(target, core::verb::call, target.find_call("transfer")));

    operations work;
    work.call(target, "transfer", {1, 2, "1.00"});
    const auto got = write(*session, work, {.ids = {"x"}});
    CHECK(got.commit == commit_result::applied);
    CHECK(got[0].effect == effect::applied);
    CHECK(got[0].at_least_once);
    operations refused_call;
    refused_call.call(target, "transfer", {1, 2, "5000.00"});
    const auto rejected = write(*session, refused_call, {.ids = {"y"}});
    CHECK(rejected[0].code == code::rejected);
    CHECK(rejected[0].effect == effect::none); // the savepoint still being there proves it
    CHECK(here.sql("SELECT SUM(balance) FROM accounts") == "1000.00\n");

    operations direct;
    direct.fetch(target, {1});
    CHECK(read(*session, direct)[0].code == code::backend_permission_denied);
    operations update;
    update.update(target, {1}).set({{"status", "open"}});
    update.update(target, {2}).set({{"status", "open"}});
    const auto refused = write(*session, update);
    CHECK(refused[0].code == code::backend_permission_denied);
    CHECK(refused[1].code == code::backend_permission_denied);
    CHECK(refused[1].effect == effect::none);
    here.control().mariadb_root("DROP USER '" + user + "'@'%'");
}

TEST_CASE("a procedure that swallows a deadlock does not lose its neighbours", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    make_procedures(here);
    const auto target = with_calls();
    auto session = here.session();
    auto other = here.session();
    const templates::template_def* targets[] = {&target};
    here.adapter().inspect(*session, targets, core::deadline::after(5s));

    // Ours holds many rows, so that the other one is cheaper to roll back... unless it is ours that
    // is lighter: it is made the lighter one.
    operations ours;
    ours.update(target, {1}).inc({{"balance", 1}});
    ours.call(target, "swallower", {2});
    operations heavy;
    for (int id : {2, 3, 4, 5, 6, 7, 8, 9, 10}) {
        heavy.update(target, {id}).inc({{"balance", 1}});
    }
    heavy.update(target, {1}).inc({{"balance", 1}});
    std::vector<adapters::stored_reply> known;
    std::vector<core::outcome> ours_results(2);
    std::vector<core::outcome> heavy_results(10);
    testing::recording_sink rows;
    testing::recording_sink heavy_rows;
    const auto until = core::deadline::after(10s);
    using adapters::step_result;
    REQUIRE(session->begin(adapters::work_kind::write, until, {}, adapters::lookup::none,
                           ours.memory(), known) == step_result::done);
    REQUIRE(other->begin(adapters::work_kind::write, until, {}, adapters::lookup::none,
                         heavy.memory(), known) == step_result::done);
    REQUIRE(session->run(ours.group(0, 1, adapters::group_mode::independent), rows, ours_results,
                         ours.memory()) == step_result::done);
    REQUIRE(other->run(heavy.group(0, 9, adapters::group_mode::independent), heavy_rows,
                       heavy_results, heavy.memory()) == step_result::done);
    std::thread second{[&] {
        // Waits for row 1 until the deadlock is resolved.
        if (other->run(heavy.group(9, 1, adapters::group_mode::independent), heavy_rows,
                       heavy_results, heavy.memory()) == step_result::done) {
            other->commit();
        } else {
            other->rollback();
        }
    }};
    std::this_thread::sleep_for(300ms);
    const auto step = session->run(ours.group(1, 1, adapters::group_mode::independent), rows,
                                   ours_results, ours.memory());
    CHECK(step == step_result::rerun);
    session->rollback();
    second.join();
    CHECK(here.sql("SELECT SUM(balance) FROM accounts") == "1010.00\n");
    CHECK(here.log().has("BEDS_MARIADB_PROCEDURE"));
}

TEST_CASE("insert, update and delete by procedures", "[mariadb]") {
    world here;
    here.sql(
        R"(CREATE TABLE people (id BIGINT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(20) UNIQUE, note VARCHAR(20), score INT NOT NULL DEFAULT 0, visits INT NOT NULL DEFAULT 0);
DELIMITER //
CREATE PROCEDURE sp_people_insert(IN p_name VARCHAR(20), IN p_note VARCHAR(20), INOUT p_id BIGINT)
BEGIN
  IF p_name = '' THEN SIGNAL SQLSTATE '45007'; END IF;
  INSERT INTO people (name, note) VALUES (p_name, p_note);
  SET p_id = LAST_INSERT_ID();
END//
CREATE PROCEDURE sp_people_insert2(IN p_name VARCHAR(20), IN p_note VARCHAR(20))
BEGIN INSERT INTO people (name, note) VALUES (p_name, p_note); END//
CREATE PROCEDURE sp_people_insert3(IN p_name VARCHAR(20), OUT p_id BIGINT)
BEGIN SET p_id = 4711; INSERT INTO people (id, name) VALUES (p_id, p_name); END//
CREATE PROCEDURE sp_people_update(IN p_id BIGINT, IN p_set TEXT, IN p_name VARCHAR(20), IN p_note VARCHAR(20), IN p_inc_score INT, IN p_if_score INT, OUT affected INT)
BEGIN
  SELECT COUNT(*) INTO affected FROM people WHERE id = p_id AND score = COALESCE(p_if_score, score);
  UPDATE people SET name = IF(JSON_CONTAINS(p_set, '"name"'), p_name, name),
    note = IF(JSON_CONTAINS(p_set, '"note"'), p_note, note), score = score + COALESCE(p_inc_score, 0)
    WHERE id = p_id AND affected = 1;
END//
CREATE PROCEDURE sp_people_delete(IN p_id BIGINT, IN p_if_score INT)
BEGIN DELETE FROM people WHERE id = p_id AND score = COALESCE(p_if_score, score); END//
DELIMITER ;
)");
    auto target = testing::template_maker("people")
                      .field("id", "int64", {.source = templates::generated::database})
                      .field("name", "string:20")
                      .field("note", "string:20")
                      .field("score", "int32")
                      .field("visits", "int32")
                      .key({"id"})
                      .unique({"name"})
                      .build();
    target.write = {"sp_people_insert", "sp_people_update", "sp_people_delete"};
    target.write_errors = {{"45007", "NAMELESS"}};
    auto session = here.session();
    const templates::template_def* targets[] = {&target};
    here.adapter().inspect(*session, targets, core::deadline::after(5s));
    CHECK_FALSE(here.adapter().runs_alone(target, core::verb::insert, nullptr));

    operations inserts;
    inserts.insert(target, {{"name", "ada"}, {"note", nullptr}});
    inserts.insert(target, {{"name", ""}, {"note", "x"}});
    inserts.insert(target, {{"name", "ada"}, {"note", "x"}});
    inserts.insert(target, {{"name", "bob"}, {"note", "y"}});
    auto got = write(*session, inserts);
    INFO(here.log().text());
    CHECK(got[0].effect == effect::applied);
    REQUIRE(got.rows.of(0).keys.size() == 1);
    const auto ada = got.rows.of(0).keys[0][0].view().integer; // attempts may leave gaps
    CHECK(here.sql("SELECT name FROM people WHERE id = " + std::to_string(ada)) == "ada\n");
    CHECK(got[1].code == code::rejected);
    CHECK(got[1].reason == "NAMELESS");
    CHECK(got[2].code == code::duplicate_key);
    CHECK(got[3].effect == effect::applied);
    CHECK(got.rows.of(3).count == 1U);

    operations updates;
    updates.update(target, {ada}).set({{"note", "new"}}).inc({{"score", 5}});
    updates.update(target, {99}).set({{"note", "new"}});
    updates.update(target, {ada}).set({{"note", "new"}}).expect({{"name", "ada"}});
    updates.update(target, {ada}).set({{"note", nullptr}});
    updates.update(target, {ada}).inc({{"score", 1}}).expect({{"score", 5}});
    updates.update(target, {ada}).inc({{"score", 100}}).expect({{"score", 5}});
    updates.update(target, {ada}).set({{"visits", 1}});
    updates.update(target, {ada}).inc({{"visits", 1}});
    updates.update(target).where("name", "ada").set({{"note", "new"}});
    // To the procedure a NULL would say that nothing is expected.
    updates.update(target, {ada}).inc({{"score", 100}}).expect({{"score", nullptr}});
    updates.update(target, {ada}).set({{"visits", nullptr}});
    got = write(*session, updates);
    CHECK(got[0].effect == effect::applied);
    CHECK(got.rows.of(0).count == 1U);
    CHECK(got[1].code == code::not_found);
    CHECK(got[2].code == code::unsupported);
    CHECK(got[2].field == "name");
    CHECK(got[3].effect == effect::applied);
    CHECK(got[4].effect == effect::applied); // as expected
    CHECK(got[5].code == code::conflict);
    for (const std::size_t no_parameter : {6U, 7U, 10U}) {
        CHECK(got[no_parameter].code == code::unsupported);
        CHECK(got[no_parameter].field == "visits");
    }
    CHECK(got[8].code == code::unsupported);
    CHECK(got[8].detail.find("by key only") != std::string_view::npos);
    CHECK(got[9].code == code::unsupported);
    CHECK(got[9].field == "score");
    CHECK(here.sql("SELECT name, COALESCE(note, 'null'), score, visits FROM people WHERE id = " +
                   std::to_string(ada)) == "ada\tnull\t6\t0\n");

    operations removals;
    removals.remove(target, {ada}).expect({{"score", 7}});
    removals.remove(target, {98});
    removals.remove(target).where("name", "bob");
    removals.remove(target, {ada}).expect({{"name", "ada"}});
    got = write(*session, removals);
    CHECK(got[0].code == code::conflict);
    CHECK(got[1].code == code::not_found);
    CHECK(got[2].code == code::unsupported);
    CHECK(got[3].code == code::unsupported);
    CHECK(here.sql("SELECT COUNT(*) FROM people WHERE id = " + std::to_string(ada)) == "1\n");
    operations removal;
    removal.remove(target, {ada}).expect({{"score", 6}});
    CHECK(write(*session, removal)[0].effect == effect::applied);
    CHECK(here.sql("SELECT COUNT(*) FROM people WHERE id = " + std::to_string(ada)) == "0\n");

    auto by_last_id = target;
    by_last_id.write.insert = "sp_people_insert2";
    operations more;
    auto op = more.insert(by_last_id);
    op.row({{"name", "c"}, {"note", "z"}}).row({{"name", "d"}, {"note", "z"}});
    auto bad = more.insert(by_last_id);
    bad.row({{"name", "e"}, {"note", "z"}}).row({{"name", "d"}, {"note", "z"}});
    got = write(*session, more);
    CHECK(got[0].effect == effect::applied);
    REQUIRE(got.rows.of(0).keys.size() == 2);
    CHECK(here.sql("SELECT name FROM people WHERE id = " +
                   testing::to_string(got.rows.of(0).keys[1][0])) == "d\n");
    CHECK(got[1].code == code::duplicate_key);
    CHECK(got.rows.of(1).keys.empty());
    CHECK(here.sql("SELECT COUNT(*) FROM people WHERE name = 'e'") == "0\n");

    auto by_out = target;
    by_out.write.insert = "sp_people_insert3";
    operations last;
    last.insert(by_out, {{"name", "f"}, {"note", "z"}});
    last.insert(by_out, {{"name", "f"}});
    got = write(*session, last);
    CHECK(got[0].code == code::unsupported);
    CHECK(got[0].field == "note");
    REQUIRE(got.rows.of(1).keys.size() == 1);
    CHECK(testing::to_string(got.rows.of(1).keys[0][0]) == "4711");
}

TEST_CASE("a call whose result is not the template's is undone", "[mariadb]") {
    world here;
    make_accounts(here, 3);
    here.sql(R"(DELIMITER //
CREATE PROCEDURE sp_few(IN p_id BIGINT) MODIFIES SQL DATA
BEGIN UPDATE accounts SET balance = balance + 1 WHERE id = p_id; SELECT 1 AS a; END//
CREATE PROCEDURE sp_other(IN p_id BIGINT) MODIFIES SQL DATA
BEGIN UPDATE accounts SET balance = balance + 1 WHERE id = p_id; SELECT 1 AS a, 'x' AS b; END//
CREATE PROCEDURE sp_fits(IN p_id BIGINT) MODIFIES SQL DATA
BEGIN UPDATE accounts SET balance = balance + 1 WHERE id = p_id; SELECT 1 AS a, 2 AS b; END//
DELIMITER ;
)");
    auto target = accounts();
    for (const std::string name : {"few", "other", "fits"}) {
        templates::call made;
        made.name = name;
        made.routine = "sp_" + name;
        made.op_class = core::op_class::write;
        made.args = {{"id", *core::parse_field_type("int64")}};
        made.returns = {{"pair", core::row_layout{{{"a", *core::parse_field_type("int64")},
                                                   {"b", *core::parse_field_type("int64")}}}}};
        target.calls.push_back(std::move(made));
    }
    auto session = here.session();
    const templates::template_def* targets[] = {&target};
    here.adapter().inspect(*session, targets, core::deadline::after(5s));
    for (const char* name : {"few", "fits", "other"}) {
        CAPTURE(name);
        operations alone;
        alone.call(target, name, {1});
        CHECK(write(*session, alone)[0].ok() == (std::string_view{name} == "fits"));
    }
    operations together;
    together.call(target, "few", {1});
    together.call(target, "fits", {1});
    together.call(target, "other", {1});
    const auto got = write(*session, together);
    CHECK(got[0].code == code::internal);
    CHECK(got[0].effect == effect::none);
    CHECK(got.rows.of(0).sets.empty());
    CHECK(got[1].effect == effect::applied);
    CHECK(got[2].code == code::internal);
    CHECK(got[2].effect == effect::none);
    CHECK(here.log().has("BEDS_MARIADB_RESULT"));
    CHECK(here.sql("SELECT balance FROM accounts WHERE id = 1") == "102.00\n");
}

TEST_CASE("atomic groups: all or nothing", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    make_procedures(here);
    const auto target = with_calls();
    auto session = here.session();
    const templates::template_def* targets[] = {&target};
    here.adapter().inspect(*session, targets, core::deadline::after(5s));
    operations good;
    good.update(target, {1}).inc({{"balance", -5}});
    good.fetch(target, {1});
    good.call(target, "transfer", {2, 1, "5.00"});
    auto got = write(*session, good, {}, adapters::group_mode::atomic);
    CHECK(got[0].effect == effect::applied);
    CHECK(text_of(got.rows.of(1)).find("95.00") != std::string::npos);
    CHECK(got[2].effect == effect::applied);

    operations bad;
    bad.update(target, {1}).inc({{"balance", -5}});
    bad.fetch(target, {1});
    bad.update(target, {1}).inc({{"balance", -5000}});
    bad.update(target, {3}).inc({{"balance", 1}});
    got = write(*session, bad, {}, adapters::group_mode::atomic);
    CHECK(got[0].status == core::status::skipped);
    CHECK(got[1].status == core::status::skipped);
    CHECK(got[2].code == code::constraint);
    CHECK(got[3].status == core::status::skipped);
    CHECK(got.rows.of(1).rows.empty());
    CHECK_FALSE(got.rows.of(0).count);
    CHECK(here.sql("SELECT SUM(balance) FROM accounts") == "995.00\n");
}

TEST_CASE("a UUID for a parameter of 16 bytes", "[mariadb]") {
    world here;
    here.sql(R"(CREATE TABLE owners (id BINARY(16) PRIMARY KEY, n INT);
DELIMITER //
CREATE PROCEDURE sp_note(IN p_owner BINARY(16), INOUT p_other VARBINARY(16), OUT p_size INT)
BEGIN
  INSERT INTO owners VALUES (p_owner, LENGTH(p_other));
  SET p_size = LENGTH(p_owner);
END//
CREATE PROCEDURE sp_add(IN p_id BINARY(16), IN p_n INT)
BEGIN
  INSERT INTO owners VALUES (p_id, p_n);
END//
DELIMITER ;
)");
    auto target = testing::template_maker("owners")
                      .field("id", "uuid")
                      .field("n", "int32")
                      .key({"id"})
                      .call(made_call("note", core::op_class::write,
                                      {{"owner", type("uuid")}, {"other", type("uuid")}},
                                      {{"other", type("uuid")}, {"size", type("int32")}}))
                      .build();
    target.write.insert = "sp_add";
    auto session = here.session();
    const templates::template_def* targets[] = {&target};
    here.adapter().inspect(*session, targets, core::deadline::after(5s));
    const auto id = [](int i) { return "a0000000-0000-4000-8000-00000000000" + std::to_string(i); };
    for (const auto& ids : {std::vector<int>{1}, std::vector<int>{2, 3, 4}}) {
        operations work;
        for (const int i : ids) {
            work.call(target, "note", {id(i), id(i)});
        }
        const auto got = write(*session, work);
        for (std::size_t i = 0; i < ids.size(); ++i) {
            INFO(got[i].detail);
            REQUIRE(got[i].effect == effect::applied);
            const auto& out = *got.rows.of(static_cast<core::op_index>(i)).out;
            CHECK(out.at("size").view().integer == 16);
            CHECK(out.at("other").view().text == id(ids[i]));
        }
    }
    operations inserts;
    inserts.insert(target, {{"id", id(5)}, {"n", 16}});
    inserts.insert(target, {{"id", id(6)}, {"n", 16}});
    const auto got = write(*session, inserts);
    CHECK(got[0].effect == effect::applied);
    CHECK(got[1].effect == effect::applied);
    CHECK(here.sql("SELECT COUNT(*), MAX(HEX(id)), SUM(n) FROM owners") ==
          "6\tA0000000000040008000000000000006\t96\n");
}
