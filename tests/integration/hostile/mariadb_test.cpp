#include "attempts.hpp"
#include "corpus.hpp"
#include "statements.hpp"
#include "support/catch.hpp"

#include <beds/core/json.hpp>
#include <beds/templates/registry.hpp>

#include <iomanip>
#include <sstream>
#include <utility>

using namespace beds;
using namespace std::chrono_literals;

namespace {

std::string hex(std::string_view text) {
    std::ostringstream out;
    out << std::hex << std::uppercase << std::setfill('0');
    for (const char c : text) {
        out << std::setw(2) << static_cast<unsigned>(static_cast<unsigned char>(c));
    }
    return out.str();
}

/// A server of its own, whose log is read, and a node over it.
class world {
public:
    world()
        : rabbitmq(test::require_amqp()), server({test::server::mariadb}),
          data(server.mariadb(), server), log(server) {
        data.sql(R"sql(
CREATE TABLE notes (id BIGINT PRIMARY KEY, t_title MEDIUMTEXT, t_doc LONGTEXT, t_image MEDIUMBLOB,
  t_mark VARCHAR(80), small TINYINT, big BIGINT UNSIGNED, ratio DOUBLE, amount DECIMAL(10,2),
  ok BOOLEAN, due DATETIME(6), day DATE, at TIME(6), code CHAR(36), color VARCHAR(20),
  secret VARCHAR(80), made DATETIME(6), KEY (t_title(100)), KEY (small), KEY (big), KEY (ratio),
  KEY (amount), KEY (ok), KEY (due), KEY (day), KEY (at), KEY (code), KEY (color), KEY (secret),
  KEY (made)) ENGINE=InnoDB;
CREATE TABLE tags (name VARCHAR(700) PRIMARY KEY, note VARCHAR(700)) ENGINE=InnoDB;
CREATE TABLE turns (name VARCHAR(700) PRIMARY KEY, note VARCHAR(700)) ENGINE=InnoDB;
CREATE TABLE pairs (area VARCHAR(300), name VARCHAR(300), note VARCHAR(700),
  PRIMARY KEY (area, name)) ENGINE=InnoDB;
CREATE TABLE blobs (name VARBINARY(700) PRIMARY KEY, note VARBINARY(700)) ENGINE=InnoDB;
CREATE TABLE said (number BIGINT PRIMARY KEY, what MEDIUMTEXT) ENGINE=InnoDB;
CREATE TABLE filed (id BIGINT PRIMARY KEY, title MEDIUMTEXT) ENGINE=InnoDB;
CREATE TABLE asian (id BIGINT PRIMARY KEY, title VARCHAR(700) CHARACTER SET gbk COLLATE gbk_bin,
  KEY (title)) ENGINE=InnoDB;
CREATE VIEW v_filed AS SELECT id, title FROM filed;
CREATE PROCEDURE put(IN p_number BIGINT, IN p_what MEDIUMTEXT)
  INSERT INTO said VALUES (p_number, p_what);
CREATE PROCEDURE file_insert(IN p_id BIGINT, IN p_title MEDIUMTEXT)
  INSERT INTO filed VALUES (p_id, p_title);
CREATE PROCEDURE file_update(IN p_id BIGINT, IN p_title MEDIUMTEXT, IN p_set TEXT)
  UPDATE filed SET title = p_title WHERE id = p_id AND p_set = '["title"]';
CREATE PROCEDURE file_delete(IN p_id BIGINT) DELETE FROM filed WHERE id = p_id;
DELIMITER //
CREATE PROCEDURE say(IN what MEDIUMTEXT, OUT again MEDIUMTEXT) READS SQL DATA
  BEGIN SET again = what; SELECT what; END//
DELIMITER ;
INSERT INTO filed VALUES (1, 'one');
INSERT INTO asian VALUES (1, 'one');
)sql");
        test::node_options options;
        options.templates = test::hostile_templates(true);
        options.templates.push_back(R"toml(
[template]
name = "filed"
store = "rel"
object = "filed"
key = ["id"]
[fields]
id = { type = "int64", required = true }
title = { type = "string", max = 70000 }
[read]
view = "v_filed"
[write]
insert = "file_insert"
update = "file_update"
delete = "file_delete"
)toml");
        options.templates.push_back(R"toml(
[template]
name = "asian"
store = "rel"
object = "asian"
key = ["id"]
[fields]
id = { type = "int64", required = true }
title = { type = "string", max = 700 }
[[index]]
fields = ["title"]
)toml");
        const auto rel = data.settings();
        running = std::make_unique<test::running_node>(rabbitmq, &rel, options);
        REQUIRE(running->node().wait_ready(core::deadline::after(30s)));
        raw = std::make_unique<test::raw_client>(rabbitmq, running->tag());
        client = running->new_client();
    }

    /// Through the procedures of a template.
    void file(const std::string& text) const {
        const auto got = in_sequence({client::insert("filed", {{"id", 7}, {"title", text}}),
                                      client::fetch("filed", 7),
                                      client::update("filed", 7, {{"title", "other"}}),
                                      client::update("filed", 7, {{"title", text}}),
                                      client::fetch("filed", 7), client::remove("filed", 7)});
        INFO(got.json().substr(0, 300));
        REQUIRE(got.ok());
        for (const std::size_t i : {0U, 2U, 3U, 5U}) {
            CHECK(got[i].count() == 1U);
        }
        for (const std::size_t i : {1U, 4U}) {
            REQUIRE(got[i].size() == 1);
            CHECK((got[i][0].text("title") == text));
        }
    }

    /// In a column of a character set whose second bytes may be a backslash: exact, or refused.
    void keep_in_gbk(const std::string& text) const {
        const auto find = client::find("asian", {{"title", text}});
        const auto got = in_sequence({client::insert("asian", {{"id", 7}, {"title", text}}), find,
                                      client::remove("asian", 7)});
        INFO(got.json().substr(0, 300));
        if (got.ok()) {
            REQUIRE(got[1].size() == 1);
            CHECK((got[1][0].text("title") == text));
            CHECK(got[2].count() == 1U);
            return;
        }
        CHECK((got[0].code() == core::code::constraint ||
               got[0].code() == core::code::invalid_field));
        CHECK(got[0].field() == "title");
        CHECK(got[0].effect() == core::effect::none);
        const auto found = client->call(find);
        CHECK(found.front().code() == core::code::invalid_field);
    }

    [[nodiscard]] client::reply in_sequence(std::vector<client::operation> all) const {
        return client->call(client::request{std::move(all), core::envelope_mode::sequence});
    }

    test::endpoint rabbitmq;
    test::private_servers server;
    test::database data;
    test::general_log log;
    std::unique_ptr<test::running_node> running;
    std::unique_ptr<test::raw_client> raw;
    std::unique_ptr<client::client> client;
};

/// What the server holds beside the rows that callers wrote, and the neighbours' rows.
std::string surroundings(const test::database& data) {
    const auto own = "table_schema = '" + data.name() + "'";
    return data.sql(
        "SELECT table_name, column_name, column_type, collation_name FROM "
        "information_schema.columns WHERE " +
        own +
        " ORDER BY 1, ordinal_position;"
        "SELECT table_name, index_name, column_name FROM information_schema.statistics WHERE " +
        own +
        " ORDER BY 1, 2, seq_in_index;"
        "SELECT routine_name, routine_definition FROM information_schema.routines ORDER BY 1;"
        "SELECT user, host FROM mysql.user ORDER BY 1, 2;"
        "SHOW DATABASES; SELECT @@GLOBAL.sql_mode;"
        "SELECT * FROM notes; SELECT * FROM tags; SELECT * FROM pairs; SELECT * FROM blobs;"
        "SELECT * FROM filed; SELECT * FROM asian");
}

void check_known(const std::map<std::string, std::size_t>& seen,
                 const std::map<std::string, std::size_t>& known, const char* kind) {
    for (const auto& [text, times] : seen) {
        if (!known.contains(text)) {
            FAIL_CHECK(kind << ", " << times
                            << " times, and never with harmless values: " << text.substr(0, 2000));
        }
    }
}

} // namespace

TEST_CASE("hostile names in templates and configurations are refused when they are loaded") {
    const std::string base = R"toml([template]
name = "things"
store = "rel"
object = "things"
key = ["id"]
[fields]
id = { type = "int64", required = true, column = "id_column" }
title = { type = "string", collation = "utf8mb4_bin" }
[read]
view = "v_things"
[write]
insert = "sp_insert"
update = "sp_update"
delete = "sp_delete"
[calls.say]
procedure = "sp_say"
class = "write"
args = [["what", "string"]]
)toml";
    REQUIRE(templates::parse(base).problems.empty());
    for (const auto& text : test::read_hostile_corpus().texts) {
        constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                           "0123456789_$.";
        if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) {
            continue; // MariaDB may have such names; they stand in backquotes
        }
        std::string quoted;
        core::append_json_string(quoted, text); // TOML's form, too
        for (const char* name :
             {"\"things\"\nstore", "\"things\"\nkey", "\"id_column\"", "\"utf8mb4_bin\"",
              "\"v_things\"", "\"sp_insert\"", "\"sp_update\"", "\"sp_delete\"", "\"sp_say\"",
              "\"what\"", "\"id\"]"}) {
            const std::string_view found{name};
            const auto end = found.find('"', 1) + 1;
            auto hostile = base;
            hostile.replace(hostile.find(found), end, quoted);
            INFO(hostile.substr(0, 1000));
            CHECK_FALSE(templates::parse(hostile).problems.empty());
        }
        config::settings settings;
        const auto wrong = [&](std::string& setting) {
            const auto before = std::exchange(setting, text);
            INFO(text.substr(0, 60));
            CHECK((text.empty() || !config::check(settings).empty()));
            setting = before;
        };
        REQUIRE(config::check(settings).empty());
        wrong(settings.id.wbid);
        wrong(settings.id.env_name);
    }
}

TEST_CASE("MariaDB: whatever is sent, only statements run that run with harmless values, too") {
    world here;
    test::attempts attempts{*here.client, *here.raw, true};
    attempts.make_neighbours();
    const auto before = surroundings(here.data);

    const std::vector<std::string> harmless{"alpha",
                                            "two words",
                                            "",
                                            "7 of 9",
                                            "\xC3\xA9t\xC3\xA9",
                                            "\xD9\x85", // not in GBK
                                            std::string(500, 'x'),
                                            std::string(66'000, 'x')};
    for (const auto& text : harmless) {
        attempts.text(text);
        here.file(text);
        here.keep_in_gbk(text);
    }
    attempts.bytes("\xFF");
    attempts.json(R"({"a":[1,"x",null]})");
    attempts.json("[true]");
    attempts.wrong_values();
    const auto known = here.log.take();

    const auto corpus = test::read_hostile_corpus();
    for (const auto& text : corpus.texts) {
        attempts.text(text);
        here.file(text);
        here.keep_in_gbk(text);
    }
    for (const auto& bytes : corpus.bytes) {
        attempts.bytes(bytes);
    }
    for (const auto& json : corpus.json) {
        attempts.json(json);
    }
    attempts.wrong_values();
    const auto seen = here.log.take();

    // What is refused is refused before the database: it hears nothing of it.
    for (const char* text : {"$where", "'; DROP TABLE notes; --", ""}) {
        attempts.names(text);
    }
    attempts.wrong_values();
    const auto refused = here.log.take();
    for (const auto* each : {&refused.prepared, &refused.executed, &refused.queries}) {
        for (const auto& [text, times] : *each) {
            FAIL_CHECK("asked of the server for what was refused: " << text.substr(0, 500));
        }
    }

    // The log is there, and complete: every text was executed with.
    CHECK(known.prepared.size() > 20);
    std::size_t executions = 0;
    for (const auto& [text, times] : seen.executed) {
        executions += times;
    }
    CHECK(executions > 30 * corpus.texts.size());
    check_known(seen.prepared, known.prepared, "prepared");
    check_known(seen.queries, known.queries, "sent as text");
    check_known(seen.others, known.others, "another command");
    // With literals taken out, an execution is one of the prepared texts.
    std::map<std::string, std::size_t> shapes;
    for (const auto& [text, times] : known.prepared) {
        shapes[test::without_literals(text)] += times;
    }
    check_known(known.executed, shapes, "executed");
    check_known(seen.executed, shapes, "executed");

    // What is there, by the server's own words.
    CHECK(surroundings(here.data) == before);
    std::string wanted;
    for (const auto* texts : {&harmless, &corpus.texts}) {
        for (const auto& text : *texts) {
            wanted += (wanted.empty() && texts == &harmless ? "" : "\n") + hex(text);
        }
    }
    CHECK((here.data.sql("SELECT HEX(what) FROM said ORDER BY number") == wanted));
}

TEST_CASE("MariaDB: a principal is who it is, whatever it is called") {
    world here;
    const auto principals = test::hostile_principals();
    test::check_principals(here.running->node(), principals);
    std::string wanted;
    for (const auto& principal : principals) {
        wanted += (wanted.empty() ? "" : "\n") + hex(principal);
    }
    CHECK(here.data.sql("SELECT HEX(principal) FROM beds_inbox ORDER BY created") == wanted);
}
