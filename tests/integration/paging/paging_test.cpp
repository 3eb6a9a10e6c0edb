#include "integration/mongodb/fixture.hpp"
#include "support/catch.hpp"
#include "support/running_node.hpp"

#include <beds/client/local_client.hpp>

#include <atomic>
#include <map>
#include <random>
#include <set>
#include <thread>

// Pages of a list that others change meanwhile: rows that were there all the time come once each.
// And what is asked of the engines: the columns of `fields`, and those of the order.

using namespace beds;
using namespace std::chrono_literals;
using client::members;
using client::value;

namespace {

constexpr std::int64_t stable_rows = 300; ///< the odd ids; the even ones come and go

std::string things(const std::string& store) {
    // On `rel` names are equal without case and accents: ä, A and a.
    return "[template]\nname = \"things\"\nstore = \"" + store + "\"\nconnection = \"" + store +
           "\"\nobject = \"things\"\nkey = [\"id\"]\n[fields]\n" +
           "id = { type = \"int64\", required = true }\n" + "name = { type = \"string\", max = 20" +
           (store == "rel" ? ", collation = \"utf8mb4_general_ci\"" : "") +
           " }\nn = { type = \"int32\" }\nat = { type = \"datetime\" }\n" +
           "note = { type = \"string\", max = 40 }\n" +
           "[[index]]\nfields = [\"name\"]\n[[index]]\nfields = [\"n\"]\n[[index]]\nfields = "
           "[\"at\"]\n";
}

members row_of(std::int64_t id) {
    static const char* const names[] = {"a", "A", "ä", "b", "B", "ab", "Ab", "", " ", "z"};
    const auto some = static_cast<std::uint64_t>(id) * 2654435761U;
    const auto micros = std::to_string(1'000'000 + some / 7 % 40);
    return {
        {"id", id},
        {"name", some % 11 == 10 ? value{} : value{names[some % 11]}},
        {"n", some % 5 == 0 ? value{} : value{static_cast<std::int64_t>(some / 5 % 4)}},
        {"at", some % 13 == 0 ? value{} : value{"2026-01-31T12:00:00." + micros.substr(1) + "Z"}},
        {"note", "x"}};
}

class world {
    test::endpoint rabbitmq_;
    test::server_control control_; // what follows needs it until its end

public:
    explicit world(const std::string& store)
        : rabbitmq_(test::require_amqp()), control_(test::shared_servers()) {
        test::node_options options;
        options.templates = {things(store)};
        config::rel_service_settings rel;
        if (store == "rel") {
            maria = std::make_unique<test::database>(test::require_mariadb(), control_);
            maria->sql("CREATE TABLE things (id BIGINT PRIMARY KEY, name VARCHAR(20) COLLATE "
                       "utf8mb4_general_ci, n INT, at DATETIME(6), note VARCHAR(40), KEY (name), "
                       "KEY (n), KEY (at)) ENGINE=InnoDB");
            rel = maria->settings();
        } else {
            mongo = std::make_unique<test::mongodb::raw_database>(test::require_mongodb().uri,
                                                                  test::unique_name());
            options.mongodb =
                test::mongodb::settings_for(test::require_mongodb().uri, mongo->name());
            mongo->make_indexes(things(store));
        }
        running = std::make_unique<test::running_node>(rabbitmq_, store == "rel" ? &rel : nullptr,
                                                       options);
        REQUIRE(running->node().wait_ready(core::deadline::after(30s)));
        asking = running->new_client();
        local = client::make_local_client(running->node().registry(), running->node().adapters());
        std::vector<value> rows;
        for (std::int64_t id = 1; id < 2 * stable_rows; id += 2) {
            rows.push_back(value::object(row_of(id)));
        }
        REQUIRE(local->call(client::insert("things", std::move(rows))).ok());
    }

    std::unique_ptr<test::database> maria;
    std::unique_ptr<test::mongodb::raw_database> mongo;
    std::unique_ptr<test::running_node> running;
    std::unique_ptr<client::client> asking;
    std::unique_ptr<client::client> local;
};

/// Inserts and deletes rows of even ids until it ends.
class changes {
public:
    explicit changes(client::client& through) : thread_([this, &through] { run(through); }) {}
    ~changes() {
        stop_ = true;
        thread_.join();
    }
    changes(const changes&) = delete;
    changes& operator=(const changes&) = delete;
    [[nodiscard]] std::uint64_t done() const { return done_; }

private:
    void run(client::client& through) {
        std::minstd_rand random{1};
        while (!stop_) {
            const auto id =
                static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(stable_rows)) * 2;
            const auto reply = random() % 2 == 0
                                   ? through.call(client::insert("things", row_of(id)))
                                   : through.call(client::remove("things", id));
            done_ += reply.ok() ? 1U : 0U; // it may be there, or not
        }
    }

    std::atomic<bool> stop_{false};
    std::atomic<std::uint64_t> done_{0};
    std::thread thread_;
};

void check_pages(world& here) {
    const std::vector<std::vector<std::string>> orders{
        {},           {"-id"},      {"name"}, {"-name"},     {"n", "-name"},
        {"-n", "at"}, {"at", "id"}, {"-at"},  {"-n", "-id"}, {"name", "-n", "at"}};
    for (const auto& order : orders) {
        std::string shown;
        for (const auto& one : order) {
            shown += one + ' ';
        }
        INFO("sort: " << shown);
        changes others{*here.local};
        while (others.done() == 0) { // they are at it
            std::this_thread::yield();
        }
        std::map<std::int64_t, int> seen;
        std::string next;
        std::size_t pages = 0;
        do {
            auto find = client::find("things");
            find.sort = order;
            find.limit = 7;
            find.fields = {"id"};
            find.after = next;
            const auto reply = here.asking->call(std::move(find));
            INFO(reply.json());
            REQUIRE(reply.ok());
            std::int64_t last = 1;
            for (std::size_t i = 0; i < reply[0].size(); ++i) {
                last = reply[0][i].integer("id").value();
                ++seen[last];
            }
            next = reply[0].next();
            if (last % 2 == 0) { // the very row that the cursor stands on
                here.local->call(client::remove("things", last));
            }
            REQUIRE(++pages < 1000);
        } while (!next.empty());
        for (std::int64_t id = 1; id < 2 * stable_rows; id += 2) {
            INFO("id " << id);
            REQUIRE(seen[id] == 1);
        }
        CHECK(seen.size() > static_cast<std::size_t>(stable_rows)); // others were seen, too
    }
}

} // namespace

TEST_CASE("paging on MariaDB: rows that stay come once, while others come and go") {
    world here{"rel"};
    check_pages(here);
}

TEST_CASE("paging on MongoDB: rows that stay come once, while others come and go") {
    world here{"rec"};
    check_pages(here);
}

TEST_CASE("fields on MariaDB: other columns are not read") {
    world here{"rel"};
    // A view whose `note` fails as soon as it is computed.
    here.maria->sql("RENAME TABLE things TO stored;\n"
                    "CREATE VIEW things AS SELECT id, name, n, at, "
                    "(SELECT s.note FROM stored s WHERE s.id <> stored.id) AS note FROM stored");
    const auto find = [](std::vector<std::string> fields) {
        auto made = client::find("things");
        made.limit = 2;
        made.sort = {"name"};
        made.fields = std::move(fields);
        return made;
    };
    auto fetch = client::fetch("things", 1);
    fetch.fields = {"id", "n"};
    for (auto* through : {here.asking.get(), here.local.get()}) {
        // Alone, and several in one statement.
        CHECK(through->call(find({"id"})).ok());
        CHECK(through->call(fetch).ok());
        auto second = fetch;
        second.key = 3;
        const auto together = through->call(client::request{
            std::vector<client::operation>{find({"n"}), find({"n"}), fetch, second}});
        INFO(together.json());
        CHECK(together.ok());
        // The view does what it should.
        CHECK_FALSE(through->call(find({"id", "note"})).ok());
        CHECK_FALSE(through->call(client::fetch("things", 1)).ok());
    }
}
