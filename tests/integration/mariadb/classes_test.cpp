#include "integration/mariadb/batches.hpp"

using namespace beds;
using namespace beds::test;
using adapters::step_result;
using core::code;
using core::effect;
using testing::operations;

namespace {

/// A template with a call of class read for each of these procedures, which take an id.
templates::template_def reading(const std::vector<std::string>& procedures) {
    testing::template_maker made{"accounts"};
    made.field("id", "int64").field("balance", "decimal(18,2)").key({"id"});
    for (const auto& each : procedures) {
        templates::call called;
        called.name = each;
        called.routine = each;
        called.op_class = core::op_class::read;
        called.dynamic_sql = each == "at_run_time" || each == "promised";
        called.args = {{"id", *core::parse_field_type("int64")}};
        called.returns.push_back(
            {"sums", core::row_layout{{{"n", *core::parse_field_type("int64")}}}});
        made.call(std::move(called));
    }
    return made.build();
}

void learn(const world& here, adapters::adapter& adapter, adapters::session& session,
           const templates::template_def& target) {
    static_cast<void>(here);
    const templates::template_def* targets[] = {&target};
    adapter.inspect(session, targets, core::deadline::after(10s));
}

constexpr std::string_view procedures = R"(DELIMITER //
CREATE PROCEDURE looks(IN p_id BIGINT)
BEGIN
  CREATE TEMPORARY TABLE IF NOT EXISTS sums (n BIGINT);
  DELETE FROM sums;
  INSERT INTO sums SELECT COUNT(*) FROM accounts WHERE id <= p_id;
  UPDATE sums s JOIN accounts a ON a.id = p_id SET s.n = s.n + 1;
  CALL adds_one();
  SELECT n FROM sums;
  DROP TEMPORARY TABLE sums;
END//
CREATE PROCEDURE adds_one() BEGIN UPDATE sums SET n = n + one(); END//
CREATE FUNCTION one() RETURNS INT RETURN 1//
CREATE FUNCTION counts() RETURNS INT
BEGIN UPDATE accounts SET balance = balance + 1 WHERE id = 1; RETURN 1; END//
CREATE PROCEDURE writes(IN p_id BIGINT)
BEGIN UPDATE accounts SET balance = balance + 1 WHERE id = p_id; SELECT 1 AS n; END//
CREATE PROCEDURE calls_writer(IN p_id BIGINT) BEGIN CALL writes(p_id); END//
CREATE PROCEDURE by_function(IN p_id BIGINT) BEGIN SELECT counts() AS n; END//
CREATE PROCEDURE at_run_time(IN p_id BIGINT)
BEGIN
  EXECUTE IMMEDIATE CONCAT('UPDATE acc', 'ounts SET balance = balance + 1 WHERE id = ', p_id);
  IF p_id = 2 THEN SIGNAL SQLSTATE '45000'; END IF;
  IF p_id = 3 THEN DO SLEEP(30); END IF;
  IF p_id = 4 THEN EXECUTE IMMEDIATE CONCAT('KILL ', CONNECTION_ID()); END IF;
  SELECT 1 AS n;
END//
CREATE PROCEDURE promised(IN p_id BIGINT) READS SQL DATA
BEGIN
  EXECUTE IMMEDIATE 'SELECT COUNT(*) AS n FROM accounts';
  IF p_id = 2 THEN SIGNAL SQLSTATE '45000'; END IF;
END//
DELIMITER ;
)";

} // namespace

TEST_CASE("a call of class read whose procedure writes is not made", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    here.sql(std::string{procedures});
    const auto target = reading({"looks", "writes", "calls_writer", "by_function"});
    auto session = here.session();
    learn(here, here.adapter(), *session, target);
    INFO(here.log().text());
    CHECK_FALSE(here.log().has("call 'looks'"));
    CHECK(
        here.log().has("BEDS_MARIADB_CLASS template 'accounts', call 'writes': procedure 'writes' "
                       "writes (UPDATE accounts)"));
    CHECK(here.log().has("procedure 'calls_writer' writes (UPDATE accounts in writes)"));
    CHECK(here.log().has("procedure 'by_function' writes (UPDATE accounts in counts)"));

    for (const std::string name : {"writes", "calls_writer", "by_function"}) {
        CAPTURE(name);
        CHECK_FALSE(here.adapter().runs_alone(target, core::verb::call, target.find_call(name)));
        for (const int count : {1, 3}) {
            operations work;
            for (int i = 1; i <= count; ++i) {
                work.call(target, name, {i});
            }
            const auto got = GENERATE(true, false) ? read(*session, work) : write(*session, work);
            CHECK(got[0].code == code::unsupported);
            CHECK(got[0].effect == effect::none);
            CHECK(got[0].detail.find("writes") != std::string_view::npos);
        }
    }
    CHECK(here.sql("SELECT SUM(balance) FROM accounts") == "1000.00\n");

    operations good;
    good.call(target, "looks", {3});
    good.call(target, "looks", {4});
    const auto got = read(*session, good);
    REQUIRE(got[0].ok());
    CHECK(testing::to_string(got.rows.of(1).sets[0].rows[0].cells[0]) == "6");

    // The DBA made it a reader; nobody starts anything anew.
    here.sql("CREATE OR REPLACE PROCEDURE writes(IN p_id BIGINT) SELECT 7 AS n");
    operations again;
    again.call(target, "writes", {1});
    const auto mended = read(*session, again);
    REQUIRE(mended[0].ok());
    CHECK(testing::to_string(mended.rows.of(0).sets[0].rows[0].cells[0]) == "7");
}

TEST_CASE("a call of class read that perhaps writes is made once, and its failure is unknown",
          "[mariadb]") {
    world here;
    make_accounts(here, 10);
    here.sql(std::string{procedures});
    const auto target = reading({"at_run_time", "promised", "looks"});
    auto session = here.session();
    learn(here, here.adapter(), *session, target);
    const auto alone = [&](std::string_view name) {
        return here.adapter().runs_alone(target, core::verb::call, target.find_call(name));
    };
    CHECK(alone("at_run_time"));
    CHECK_FALSE(alone("promised")); // the DBA's word
    CHECK_FALSE(alone("looks"));

    const auto call = [&](std::string_view name, int id) {
        operations work;
        work.call(target, std::string{name}, {id});
        return run(*session, work, adapters::work_kind::read, {}, adapters::group_mode::independent,
                   core::deadline::after(id == 3 ? 1000ms : 10s));
    };
    CHECK(call("at_run_time", 1)[0].ok());
    auto got = call("at_run_time", 2);
    CHECK(got[0].code == code::rejected);
    CHECK(got[0].effect == effect::unknown);
    CHECK(got[0].at_least_once);
    got = call("at_run_time", 3);
    CHECK(got.step == step_result::done); // nobody runs it again
    CHECK(got[0].code == code::deadline_exceeded);
    CHECK(got[0].effect == effect::unknown);
    got = call("at_run_time", 4);
    CHECK(got.step == step_result::done);
    CHECK(got[0].code == code::backend_unavailable);
    CHECK(got[0].effect == effect::unknown);
    CHECK(got[0].at_least_once);
    CHECK(here.sql("SELECT SUM(balance) FROM accounts WHERE id < 5") == "404.00\n");

    session->connect(core::deadline::after(5s));
    got = call("promised", 2);
    CHECK(got[0].code == code::rejected);
    CHECK(got[0].effect == effect::none);
}

TEST_CASE("a call of class read whose text cannot be seen counts as one that may write",
          "[mariadb]") {
    world here;
    make_accounts(here, 10);
    here.sql(std::string{procedures});
    here.sql("CREATE PROCEDURE only_reads(IN p_id BIGINT) READS SQL DATA SELECT 1 AS n");
    const std::string user = unique_name("beds_u");
    here.control().mariadb_root("CREATE USER '" + user + "'@'%' IDENTIFIED BY 'pw';" +
                                "GRANT EXECUTE ON " + here.database() + ".* TO '" + user + "'@'%'");
    auto settings = here.settings();
    settings.user = user;
    settings.pass = core::secret{"pw"};
    here.make_adapter(settings);
    const auto target = reading({"looks", "only_reads"});
    auto session = here.session();
    learn(here, here.adapter(), *session, target);
    CHECK(here.adapter().runs_alone(target, core::verb::call, target.find_call("looks")));
    CHECK_FALSE(
        here.adapter().runs_alone(target, core::verb::call, target.find_call("only_reads")));
    operations work;
    work.call(target, "looks", {3});
    work.call(target, "looks", {4});
    work.call(target, "only_reads", {4});
    const auto got = read(*session, work);
    CHECK(got[0].ok());
    CHECK(got[1].ok());
    CHECK(got[2].ok());
    CHECK_FALSE(got[0].at_least_once);
    here.control().mariadb_root("DROP USER '" + user + "'@'%'");
}

TEST_CASE("a read that perhaps writes takes no other down when it fails, and is not tried again",
          "[mariadb]") {
    world here;
    make_accounts(here, 10);
    here.sql(std::string{procedures});
    batches run{here, std::string{accounts_text} + R"toml(
[calls.look]
procedure = "at_run_time"
dynamic_sql = true
class = "read"
args = [["id", "int64"]]
)toml"};
    const std::string fetch = R"({"template":"accounts","op":"fetch","key":9})";
    const auto look = [](int id) {
        return R"({"template":"accounts","op":"call","name":"look","args":{"id":)" +
               std::to_string(id) + "}}";
    };
    const auto got = run({{{look(4)}}, {{fetch}}, {{look(1)}}, {{look(3)}, 1500ms}, {{fetch}}});
    INFO(here.log().text());
    CHECK(got[0][0].code == code::backend_unavailable);
    CHECK(got[0][0].effect == effect::unknown);
    CHECK(got[0][0].at_least_once);
    CHECK(got[1][0].ok());
    CHECK(got[2][0].ok());
    CHECK(got[2][0].effect == effect::none);
    CHECK_FALSE(got[2][0].at_least_once);
    CHECK(got[3][0].code == code::deadline_exceeded);
    CHECK(got[3][0].effect == effect::unknown);
    CHECK(got[4][0].ok());
    CHECK(here.sql("SELECT balance FROM accounts WHERE id IN (1, 3, 4)") ==
          "101.00\n101.00\n101.00\n");
    // A neighbour of every kind: what writes, and what has an order.
    const auto mixed =
        run({{{R"({"template":"accounts","op":"update","key":7,"inc":{"balance":"1.00"}})"}},
             {{look(4), fetch}, 8s, "sequence"},
             {{fetch}}});
    CHECK(mixed[0][0].effect == effect::applied);
    CHECK(mixed[1][0].effect == effect::unknown);
    CHECK(mixed[1][1].status == core::status::skipped);
    CHECK(mixed[2][0].ok());
    CHECK(here.sql("SELECT balance FROM accounts WHERE id IN (4, 7)") == "102.00\n101.00\n");
}

TEST_CASE("what bedsctl check says of calls of class read and their procedures", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    here.sql(std::string{procedures});
    const auto target = reading({"looks", "calls_writer", "at_run_time", "promised"});
    const auto session = here.session();
    const auto said = [&](std::string_view name) {
        const auto there =
            here.adapter().survey_procedure(*session, name, core::deadline::after(5s));
        REQUIRE(there);
        std::string made;
        for (const auto& each : adapters::compare(*target.find_call(name), &*there)) {
            made += each.how == adapters::difference::severity::error ? "error: " : "warning: ";
            made += each.key + ": " + each.text + "; " + each.advice + '\n';
        }
        return made;
    };
    CHECK(said("looks").empty());
    CHECK(said("promised").empty());
    CHECK(said("calls_writer") ==
          "error: calls.calls_writer.class: procedure 'calls_writer' writes (UPDATE accounts in "
          "writes): its calls are refused; say class = \"write\"\n");
    CHECK(said("at_run_time")
              .starts_with("warning: calls.at_run_time.class: nothing shows that procedure "
                           "'at_run_time' only reads"));
}

TEST_CASE("a procedure that makes statements at run time is not called unless its template says so",
          "[mariadb]") {
    world here;
    make_accounts(here, 10);
    here.sql(std::string{procedures});
    here.sql(R"(DELIMITER //
CREATE PROCEDURE passes_on(IN p_id BIGINT) BEGIN CALL at_run_time(p_id); END//
CREATE PROCEDURE sp_insert(IN p_id BIGINT, IN p_balance DECIMAL(18,2))
BEGIN
  PREPARE made FROM 'INSERT INTO accounts (id, owner, balance) VALUES (?, ''made'', ?)';
  EXECUTE made USING p_id, p_balance;
END//
DELIMITER ;
)");
    const auto declared = GENERATE(false, true);
    CAPTURE(declared);
    const std::string word = declared ? "dynamic_sql = true\n" : "";
    batches run{here, std::string{accounts_text} + "[calls.look]\nprocedure = \"passes_on\"\n" +
                          "class = \"read\"\nargs = [[\"id\", \"int64\"]]\n" + word +
                          "[write]\ninsert = \"sp_insert\"\n" + word};
    const std::string insert = R"({"template":"accounts","op":"insert","data":{"id":77}})";
    const std::string look = R"({"template":"accounts","op":"call","name":"look","args":{"id":1}})";
    const auto got = run({{{look}}, {{insert}}, {{look}}, {{look}}});
    INFO(here.log().text());
    for (const auto& each : got) {
        INFO(each[0].detail);
        CHECK(each[0].ok() == declared);
        CHECK((each[0].code == code::unsupported) == !declared);
        CHECK((declared || each[0].effect == effect::none));
    }
    CHECK(here.sql("SELECT COUNT(*) FROM accounts WHERE id = 77") == (declared ? "1\n" : "0\n"));
    CHECK(here.log().has("BEDS_MARIADB_DYNAMIC template 'accounts', call 'look': procedure "
                         "'passes_on' makes statements at run time (PREPARE or EXECUTE in "
                         "'at_run_time')") == !declared);
    CHECK(here.log().has("BEDS_MARIADB_DYNAMIC template 'accounts': procedure 'sp_insert'") ==
          !declared);
}
