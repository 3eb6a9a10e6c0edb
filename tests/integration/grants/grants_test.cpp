// What `bedsctl schema --grants` prints is enough, and nothing of it is too much.
#include "grants.hpp"
#include "support/counters.hpp"

#include <set>
#include <thread>

using namespace beds;
using namespace beds::test;
using namespace std::chrono_literals;

namespace {

/// An account that may do nothing yet.
class account {
public:
    account(const server_control& control, const database& of) : control_(&control) {
        control_->mariadb_root("CREATE USER " + text() + " IDENTIFIED BY 'Gr4nts'");
        settings = of.settings();
        settings.user = name_;
        settings.pass = core::secret{"Gr4nts"};
        settings.inbox_window = 60s; // old rows are looked for every three seconds
    }
    ~account() {
        try {
            control_->mariadb_root("DROP USER " + text());
        } catch (const std::exception&) {
            // The server is gone: nothing to clean.
        }
    }
    account(const account&) = delete;
    account& operator=(const account&) = delete;

    void grant(const std::string& privileges, const std::string& on) const {
        control_->mariadb_root("GRANT " + privileges + " ON " + on + " TO " + text());
    }
    void revoke(const std::string& privilege, const std::string& on) const {
        control_->mariadb_root("REVOKE " + privilege + " ON " + on + " FROM " + text());
    }
    [[nodiscard]] std::string text() const { return "'" + name_ + "'@'%'"; }

    config::rel_service_settings settings;

private:
    const server_control* control_;
    std::string name_ = unique_name("g");
};

/// Of the inbox: a node deletes them in the background.
enum class old_rows { waited_for, left_alone };

/// What a caller or an operator notices when a node with this account does all it offers; empty:
/// all went well.
std::string noticed(const database& data, const account& by, old_rows deletion) {
    data.sql("DELETE FROM marks; DELETE FROM counters WHERE id > 100; DELETE FROM beds_inbox;"
             "INSERT INTO beds_inbox SELECT 'old', seq, REPEAT('0', 16), '', "
             "NOW(6) - INTERVAL 1 HOUR FROM seq_1_to_3");
    node_options options;
    options.templates = counter_templates();
    // What a node says that starts all the same; integration_live_schema shows that it need not.
    options.on_mismatch = config::mismatch_action::ignore;
    running_node running{require_amqp(), &by.settings, options};
    std::string seen;
    if (!running.node().wait_ready(core::deadline::after(10s))) {
        seen += "not ready; ";
    }
    const auto client = running.new_client();
    const auto ask = [&](const char* what, client::operation operation) {
        const auto got = client->call(std::move(operation), 5s);
        const auto& one = got.front();
        if (!one.ok()) {
            seen += std::string{what} + " " + std::string{one.code_text()} + "; ";
        } else if (got.json().find("at_least_once") != std::string::npos) {
            seen += std::string{what} + " at_least_once; ";
        }
    };
    ask("fetch", client::fetch("counters", 1));
    ask("find", client::find("counters", {{"value", 0}}));
    ask("fetch of marks", client::count("marks"));
    ask("insert", client::insert("counters", client::members{{"id", 101}}));
    ask("insert of marks", client::insert("marks", client::members{{"id", "a"}, {"value", 1}}));
    ask("update", raise(1));
    ask("update of marks", client::update("marks", "a", client::members{{"value", 2}}));
    for (
        const auto* body :
        {R"("insert","data":{"id":101,"value":5},"on_conflict":{"do":"update","set":["value"]},"return":["value"])",
         R"("insert","data":{"id":102},"on_conflict":{"do":"nothing"})",
         R"("update","key":101,"set":{"note":"x"},"return":["value","note"])",
         R"("update","where":{"value":5},"inc":{"value":1},"return":["id"])",
         R"("update","where":{"value":6},"set":{"note":null})", R"("delete","where":{"value":6})",
         R"("delete","key":102,"return":["id"])", R"("exists","where":{"value":6})",
         R"("insert","data":{"id":101})"}) {
        ask(body, client::request::from_json(std::string{R"({"v":1,"template":"counters","op":)"} +
                                             body + '}')
                      .operations.front());
    }
    auto unexpected = client::update("counters", 101, client::members{{"value", 1}});
    unexpected.expect = client::value::object({{"value", 77}});
    if (client->call(unexpected, 5s).front().code() != core::code::conflict) {
        seen += "if; ";
    }
    ask("delete", client::remove("counters", 101));
    ask("delete of marks", client::remove("marks", "a"));
    ask("call", client::call("counters", "move", {{"from", 1}, {"to", 2}, {"amount", 1}}));
    client::request twice{raise(2)};
    twice.id = "twice";
    for (int i = 0; i < 2; ++i) {
        if (!client->call(twice, 5s).ok()) {
            seen += "sent again; ";
        }
    }
    // A procedure of another account, which is late: it is ended at the server.
    const auto late =
        client->call(client::call("counters", "slow", {{"id", 1}, {"seconds", 3.0}}), 300ms);
    if (late.front().code() != core::code::deadline_exceeded) {
        seen += "late call " + std::string{late.front().code_text()} + "; ";
    }
    const auto said = [&](const char* id) {
        return running.log().find(std::string{id} + ' ') != std::string::npos;
    };
    const auto ended = core::deadline::after(3s);
    while (!ended.expired() && !said("BEDS_MARIADB_WATCHDOG") &&
           data.number("SELECT COUNT(*) FROM information_schema.processlist WHERE db = '" +
                       data.name() +
                       "' AND info LIKE '%SLEEP%' AND info NOT LIKE '%processlist%'") != 0) {
        std::this_thread::sleep_for(20ms);
    }
    // It begins three seconds after the first write.
    const auto until = core::deadline::after(deletion == old_rows::waited_for ? 6s : 0s);
    while (!until.expired() && !said("BEDS_MARIADB_PRUNE") &&
           data.number("SELECT COUNT(*) FROM beds_inbox WHERE principal = 'old'") != 0) {
        std::this_thread::sleep_for(50ms);
    }
    for (const auto* id : {"BEDS_MARIADB_PRUNE", "BEDS_MARIADB_WATCHDOG", "BEDS_MARIADB_INBOX"}) {
        if (said(id)) {
            seen += std::string{id} + "; ";
        }
    }
    return seen;
}

std::vector<std::string> apart(const std::string& privileges) {
    std::vector<std::string> made;
    for (std::size_t at = 0; at < privileges.size();) {
        const auto end = std::min(privileges.find(", ", at), privileges.size());
        made.push_back(privileges.substr(at, end - at));
        at = end + 2;
    }
    return made;
}

} // namespace

TEST_CASE("a node with the rights that are printed serves everything, and misses each of them") {
    require_amqp();
    const auto control = shared_servers();
    const database data{require_mariadb(), control};
    make_counters(data, 12);
    const account node{control, data};
    std::vector<templates::template_def> all;
    for (const auto& text : counter_templates()) {
        all.push_back(*templates::parse(text).parsed);
    }
    const auto grants =
        bedsctl::grants_of(templates::registry{std::move(all)}, "rel", node.settings);
    for (const auto& each : grants) {
        node.grant(each.privileges, each.on);
    }
    REQUIRE(noticed(data, node, old_rows::waited_for) == "");
    std::size_t privileges = 0;
    for (const auto& each : grants) {
        for (const auto& privilege : apart(each.privileges)) {
            INFO("without " << privilege << " on " << each.on);
            node.revoke(privilege, each.on);
            const auto seen = noticed(data, node,
                                      privilege == "DELETE" && each.on.ends_with("`beds_inbox`")
                                          ? old_rows::waited_for
                                          : old_rows::left_alone);
            UNSCOPED_INFO("without " << privilege << " on " << each.on << ": " << seen);
            CHECK_FALSE(seen.empty());
            node.grant(privilege, each.on);
            ++privileges;
        }
    }
    // Two tables with four rights each, two procedures, the inbox with three, beds_kill,
    // mysql.proc.
    CHECK(privileges == 2 * 4 + 2 + 3 + 1 + 1);
}

TEST_CASE("who only reads is given no right to write, and no inbox") {
    std::vector<templates::template_def> all;
    for (const auto& text : counter_templates()) {
        all.push_back(*templates::parse(text).parsed);
    }
    config::rel_service_settings service;
    service.database = "shop";
    const auto grants =
        bedsctl::grants_of(templates::registry{std::move(all)}, "rel", service,
                           [](const templates::template_def&) { return core::op_class::read; });
    REQUIRE(grants.size() == 2);
    for (const auto& each : grants) {
        INFO(each.on);
        CHECK(each.privileges == "SELECT");
    }
    CHECK(grants[0].on == "`shop`.`counters`");
    CHECK(grants[1].on == "`shop`.`marks`");
}

namespace {

constexpr const char* guests = R"toml([template]
name        = "guests"
store       = "rel"
object      = "guests"
key         = ["id"]
soft_delete = "gone"
[fields]
id   = { type = "int64", required = true }
name = { type = "string", max = 40 }
gone = { type = "datetime" }
)toml";
constexpr const char* visits = R"toml([template]
name   = "visits"
store  = "rel"
object = "visits"
key    = ["id"]
[fields]
id    = { type = "int64", required = true }
guest = { type = "int64" }
at    = { type = "datetime" }
[[index]]
fields       = ["at"]
expire_after = "2s"
[read]
view = "visits_seen"
[write]
insert = "visits_insert"
update = "visits_update"
[calls.worth]
function = "fn_worth"
class    = "read"
args     = [["id", "int64"]]
out      = [["worth", "int64"]]
)toml";

/// Nothing may be done to the object itself.
constexpr const char* stays = R"toml([template]
name   = "stays"
store  = "rel"
object = "stays"
key    = ["id"]
[fields]
id     = { type = "int64", required = true }
nights = { type = "int32" }
note   = { type = "string", max = 40 }
[read]
view = "stays_seen"
[write]
insert = "stays_insert"
update = "stays_update"
delete = "stays_delete"
)toml";

/// What is noticed where procedures, functions, views, marks and rows that expire have their
/// rights.
std::string noticed_by_guests(const database& data, const account& by) {
    data.sql("DELETE FROM guests; DELETE FROM visits; DELETE FROM stays; DELETE FROM beds_inbox; "
             "INSERT INTO visits VALUES (1, 1, UTC_TIMESTAMP(6) - INTERVAL 2 HOUR)");
    node_options options;
    options.templates = {guests, visits, stays};
    options.on_mismatch = config::mismatch_action::ignore;
    const running_node running{require_amqp(), &by.settings, options};
    std::string seen;
    if (!running.node().wait_ready(core::deadline::after(10s))) {
        seen += "not ready; ";
    }
    const auto client = running.new_client();
    const auto ask = [&](const char* what, const char* body, core::code expected = core::code::ok) {
        auto request =
            client::request::from_json(std::string{R"({"v":1,"template":)"} + body + '}');
        const auto got = client->call(std::move(request), 5s);
        if (got.front().code() != expected ||
            got.json().find("at_least_once") != std::string::npos) {
            seen += std::string{what} + ' ' + got.json() + "; ";
        }
    };
    ask("insert", R"("guests","op":"insert","data":{"id":2,"name":"a"},"return":["id"])");
    ask("update", R"("guests","op":"update","key":2,"set":{"name":"b"})");
    ask("find", R"("guests","op":"find")");
    ask("delete", R"("guests","op":"delete","key":2)");
    ask("insert by procedure", R"("visits","op":"insert","data":{"id":2,"guest":1})");
    ask("update by procedure", R"("visits","op":"update","key":2,"set":{"guest":3})");
    ask("fetch through the view", R"("visits","op":"fetch","key":2)");
    ask("delete of visits", R"("visits","op":"delete","key":2)");
    ask("function", R"("visits","op":"call","name":"worth","args":{"id":1})");
    ask("insert of stays", R"("stays","op":"insert","data":{"id":1},"return":["id","nights"])");
    ask("update of stays",
        R"("stays","op":"update","key":1,"set":{"nights":2},"return":["nights"])");
    ask("if", R"("stays","op":"update","key":1,"set":{"note":"x"},"if":{"nights":7})",
        core::code::conflict);
    ask("if of no row", R"("stays","op":"update","key":9,"set":{"note":"x"},"if":{"nights":7})",
        core::code::not_found);
    ask("inc of no row", R"("stays","op":"update","key":9,"inc":{"nights":1})",
        core::code::not_found);
    ask("delete if", R"("stays","op":"delete","key":1,"if":{"nights":7})", core::code::conflict);
    ask("delete of stays", R"("stays","op":"delete","key":1,"return":["id","nights"])");
    ask("find of stays", R"("stays","op":"find")");
    const auto until = core::deadline::after(10s);
    const auto refused = [&] {
        return running.log().find("BEDS_MARIADB_EXPIRE ") != std::string::npos;
    };
    while (!until.expired() && !refused() && data.number("SELECT COUNT(*) FROM visits") != 0) {
        std::this_thread::sleep_for(50ms);
    }
    if (refused() || data.number("SELECT COUNT(*) FROM visits") != 0) {
        seen += "old rows stay; ";
    }
    return seen;
}

} // namespace

TEST_CASE("the rights of views, procedures, functions, marks and rows that expire are enough, and "
          "each is missed") {
    require_amqp();
    const auto control = shared_servers();
    const database data{require_mariadb(), control};
    data.sql(
        R"(CREATE TABLE guests (id BIGINT PRIMARY KEY, name VARCHAR(40) COLLATE utf8mb4_bin, gone DATETIME(6));
CREATE TABLE visits (id BIGINT PRIMARY KEY, guest BIGINT, at DATETIME(6), KEY (at));
CREATE VIEW visits_seen AS SELECT id, guest, at FROM visits;
CREATE TABLE stays (id BIGINT PRIMARY KEY, nights INT, note VARCHAR(40));
CREATE VIEW stays_seen AS SELECT * FROM stays;
DELIMITER //
CREATE PROCEDURE stays_insert(IN p_id BIGINT, IN p_nights INT, IN p_note VARCHAR(40))
  MODIFIES SQL DATA BEGIN INSERT INTO stays VALUES (p_id, p_nights, p_note); END//
CREATE PROCEDURE stays_update(IN p_id BIGINT, IN p_set TEXT, IN p_nights INT, IN p_note VARCHAR(40),
    IN p_inc_nights INT, IN p_if_nights INT, OUT affected INT)
  MODIFIES SQL DATA BEGIN
  SELECT COUNT(*) INTO affected FROM stays WHERE id = p_id AND (p_if_nights IS NULL OR nights = p_if_nights);
  UPDATE stays SET nights = IF(JSON_CONTAINS(p_set, '"nights"'), p_nights, nights) + COALESCE(p_inc_nights, 0),
    note = IF(JSON_CONTAINS(p_set, '"note"'), p_note, note) WHERE id = p_id AND affected = 1;
  END//
CREATE PROCEDURE stays_delete(IN p_id BIGINT, IN p_if_nights INT)
  MODIFIES SQL DATA BEGIN DELETE FROM stays WHERE id = p_id AND (p_if_nights IS NULL OR nights = p_if_nights); END//
CREATE PROCEDURE visits_insert(IN p_id BIGINT, IN p_guest BIGINT, IN p_at DATETIME(6))
  MODIFIES SQL DATA BEGIN INSERT INTO visits VALUES (p_id, p_guest, p_at); END//
CREATE PROCEDURE visits_update(IN p_id BIGINT, IN p_set TEXT, IN p_guest BIGINT, IN p_at DATETIME(6), OUT affected INT)
  MODIFIES SQL DATA BEGIN UPDATE visits SET guest = p_guest WHERE id = p_id; SET affected = ROW_COUNT(); END//
CREATE FUNCTION fn_worth(p_id BIGINT) RETURNS BIGINT READS SQL DATA BEGIN RETURN p_id; END//
DELIMITER ;
)");
    const account node{control, data};
    std::vector<templates::template_def> all;
    for (const auto* text : {guests, visits, stays}) {
        all.push_back(*templates::parse(text).parsed);
    }
    const auto grants =
        bedsctl::grants_of(templates::registry{std::move(all)}, "rel", node.settings);
    for (const auto& each : grants) {
        node.grant(each.privileges, each.on);
        CHECK_FALSE(
            (each.on.ends_with("`guests`") && each.privileges.find("DELETE") != std::string::npos));
    }
    REQUIRE(noticed_by_guests(data, node) == "");
    std::size_t privileges = 0;
    for (const auto& each : grants) {
        if (each.on.ends_with("`beds_inbox`") || each.on.ends_with("`beds_kill`")) {
            continue; // shown above
        }
        for (const auto& privilege : apart(each.privileges)) {
            INFO("without " << privilege << " on " << each.on);
            node.revoke(privilege, each.on);
            CHECK_FALSE(noticed_by_guests(data, node).empty());
            node.grant(privilege, each.on);
            ++privileges;
        }
    }
    // guests: three; visits: two; two views, five procedures, the function, mysql.proc.
    CHECK(privileges == 3 + 2 + 2 + 5 + 1 + 1);
}

TEST_CASE("a stored function needs EXECUTE on a function") {
    const auto parsed = templates::parse(R"toml([template]
name   = "sums"
store  = "rel"
object = "sums"
key    = ["id"]
[fields]
id = { type = "int64" }
[calls.worth]
function = "fn_worth"
class    = "read"
out      = [["worth", "int64"]]
)toml");
    REQUIRE(parsed.parsed);
    config::rel_service_settings service;
    service.database = "shop";
    const auto grants = bedsctl::grants_of(templates::registry{{*parsed.parsed}}, "rel", service);
    const auto there = [&](std::string_view privileges, std::string_view on) {
        return std::any_of(grants.begin(), grants.end(), [&](const auto& each) {
            return each.privileges == privileges && each.on == on;
        });
    };
    CHECK(there("EXECUTE", "FUNCTION `shop`.`fn_worth`"));
    CHECK(there("EXECUTE", "PROCEDURE `shop`.`beds_kill`"));
    CHECK(there("SELECT", "`mysql`.`proc`"));
}

TEST_CASE("what is no account does not get into a statement") {
    CHECK(bedsctl::is_account("'beds'@'10.0.0.%'"));
    CHECK(bedsctl::is_account("''@'localhost'"));
    for (const auto* wrong : {"beds", "'beds'", "beds@host", "'a'@'b'; DROP DATABASE x; --",
                              "'a'@'b\\'", "'o'brien'@'%'"}) {
        INFO(wrong);
        CHECK_FALSE(bedsctl::is_account(wrong));
    }
}
