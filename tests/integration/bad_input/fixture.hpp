#pragma once

#include "support/catch.hpp"
#include "support/running_node.hpp"

#include <string>

namespace beds::test {

inline std::string notes_template(const std::string& name, const std::string& connection) {
    const bool mongodb = connection == "rec";
    return "[template]\nname = \"" + name + "\"\nstore = \"" + (mongodb ? "rec" : "rel") +
           "\"\nconnection = \"" + connection +
           R"toml("
object = "notes"
key    = ["id"]
[fields]
id     = { type = "int64", required = true)toml" +
           (mongodb ? R"(, column = "_id")" : "") + R"toml( }
title  = { type = "string", max = 16000 }
small  = { type = "int8" }
big    = { type = "uint64" }
amount = { type = "decimal(10,2)" }
ratio  = { type = "double" }
due    = { type = "datetime" }
ok     = { type = "bool" }
doc    = { type = "json" }
day    = { type = "date" }
code   = { type = "uuid" }
color  = { type = "enum", values = ["red", "green"] }
image  = { type = "bytes", max = 16000 }
[[index]]
fields = ["title"]
)toml" + (connection != "rel" ? "" : R"toml([calls.erase]
procedure = "erase"
class = "write"
)toml");
}

/// One node with the same template on MariaDB (`notes`, with a call besides) and in memory
/// (`mnotes`), each with a row 1.
class notes_world {
public:
    explicit notes_world(node_options given = {})
        : rabbitmq(require_amqp()), where(require_mariadb()), control(shared_servers()),
          data(where, control), options(std::move(given)) {
        data.sql("CREATE TABLE notes (id BIGINT PRIMARY KEY, title VARCHAR(16000), small TINYINT, "
                 "big BIGINT UNSIGNED, amount DECIMAL(10,2), ratio DOUBLE, due DATETIME(6), "
                 "ok BOOLEAN, doc LONGTEXT, day DATE, code CHAR(36), color ENUM('red', 'green'), "
                 "image BLOB, KEY title (title(100))) ENGINE=InnoDB;"
                 "CREATE PROCEDURE erase() MODIFIES SQL DATA DELETE FROM notes");
        options.mem = options.rel;
        options.templates = {notes_template("notes", "rel"), notes_template("mnotes", "mem")};
        options.tag = unique_name("t") + "_";
        start();
        raw = std::make_unique<raw_client>(rabbitmq, running->tag());
        raw->listen_to_the_dead();
        auto client = running->new_client();
        for (const char* name : {"notes", "mnotes"}) {
            REQUIRE(client->call(client::insert(name, {{"id", 1}, {"title", "one"}})).ok());
        }
    }

    void start() {
        const auto rel = data.settings();
        running = std::make_unique<running_node>(rabbitmq, &rel, options);
        REQUIRE(running->node().wait_ready(core::deadline::after(std::chrono::seconds{15})));
    }
    /// Its queues stay.
    void stop() {
        REQUIRE(running->node().stop(core::deadline::after(std::chrono::seconds{10})));
        running.reset();
    }

    endpoint rabbitmq;
    endpoint where;
    server_control control;
    database data;
    node_options options;
    std::unique_ptr<running_node> running;
    std::unique_ptr<raw_client> raw;
};

} // namespace beds::test
