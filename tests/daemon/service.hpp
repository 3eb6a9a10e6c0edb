#pragma once

#include "daemon/bedsd/process.hpp"
#include "daemon/broker_service.hpp"
#include "support/catch.hpp"
#include "support/queues.hpp"
#include "support/servers.hpp"

#include <chrono>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace daemon_test {

inline constexpr std::chrono::seconds soon{60};

struct installed {
    std::string sql = {};                              ///< what is in the database, but the inbox
    std::map<std::string, std::string> templates = {}; ///< by name
    std::string character_set = "utf8mb4 COLLATE utf8mb4_nopad_bin";
    unsigned writers = 1;
    std::string id = {}; ///< [id] of the configuration
};

/// A database of its own with an inbox, a configuration that names it, and bedsctl beside it.
class installation {
public:
    explicit installation(const installed& what)
        : amqp(beds::test::require_amqp()), mariadb(beds::test::require_mariadb()),
          control(beds::test::shared_servers()) {
        beds::test::remove_queues_after_the_test(amqp, tag);
        control.mariadb_root("CREATE DATABASE " + database + " CHARACTER SET " +
                             what.character_set);
        std::ifstream inbox{BEDS_INBOX_SQL};
        sql(std::string{std::istreambuf_iterator<char>{inbox}, {}});
        sql(what.sql);
        files.write("pass", mariadb.password);
        files.write("templates/.keep", "");
        for (const auto& [name, text] : what.templates) {
            files.write("templates/" + name + ".toml", text);
        }
        config = files
                     .write("beds.toml",
                            what.id +
                                broker_service(
                                    amqp, tag, "rel",
                                    "{ read = 1, write = " + std::to_string(what.writers) + " }") +
                                "[rel_services.rel]\nhost = " + in_quotes(mariadb.host) +
                                "\nport = " + std::to_string(mariadb.port) +
                                "\nuser = " + in_quotes(mariadb.user) +
                                "\npass_file = \"pass\"\ndatabase = " + in_quotes(database) + "\n")
                     .string();
    }
    ~installation() {
        try {
            control.mariadb_root("DROP DATABASE " + database);
        } catch (const std::exception&) {
            // The server is gone: nothing to clean.
        }
    }
    installation(const installation&) = delete;
    installation& operator=(const installation&) = delete;

    void sql(const std::string& text) const {
        control.mariadb_root("USE " + database + ";\n" + text);
    }
    /// What leads to the service, and what the configuration reads.
    [[nodiscard]] std::vector<std::string> environment() const {
        return {"AMQP_URL=" + amqp.uri, "BEDS_QUEUE_TAG=" + tag, password()};
    }
    [[nodiscard]] std::string password() const { return "TEST_AMQP_PASS=" + amqp.password; }

    /// bedsctl with these arguments.
    [[nodiscard]] static answer run(std::vector<std::string> arguments,
                                    const std::vector<std::string>& environment) {
        arguments.insert(arguments.begin(), BEDSCTL_PROGRAM);
        return run_program(std::move(arguments), environment, 4 * soon);
    }
    [[nodiscard]] answer ask(std::vector<std::string> arguments) const {
        return run(std::move(arguments), environment());
    }
    /// bedsctl that runs on; what it says goes to `out` and `err` of the folder.
    [[nodiscard]] std::unique_ptr<process> begin(const folder& says,
                                                 std::vector<std::string> arguments) const {
        arguments.insert(arguments.begin(), BEDSCTL_PROGRAM);
        return std::make_unique<process>(says, std::move(arguments), environment());
    }

    beds::test::endpoint amqp;
    beds::test::endpoint mariadb;
    beds::test::server_control control;
    std::string database = beds::test::unique_name();
    std::string tag = beds::test::unique_name("t") + "_";
    folder files;
    std::string config;
};

/// And a bedsd that serves it.
class service : public installation {
public:
    explicit service(const installed& what)
        : installation(what), asked_(what.templates.begin()->first) {
        start();
    }
    void start() {
        bedsd_ = std::make_unique<process>(
            files, std::vector<std::string>{BEDSD_PROGRAM, "--config", config},
            std::vector<std::string>{password()});
        const auto until = std::chrono::steady_clock::now() + soon;
        // Brokers of both kinds: a row that is not there is refused by the one that writes.
        while (ask({"call", asked_, "count"}).code != 0 ||
               ask({"call", asked_, "delete", "key:=-1"}).code != 1) {
            INFO(files.read("err"));
            REQUIRE(bedsd_->wait(std::chrono::milliseconds{50}) == -1);
            REQUIRE(std::chrono::steady_clock::now() < until);
        }
    }
    void stop() {
        bedsd_->signal(SIGTERM);
        CHECK(bedsd_->wait(soon) == 0);
    }
    /// SIGHUP; returns when its log says what became of it.
    void reload() {
        const auto told = [this] {
            const auto log = files.read("err");
            std::size_t times = 0;
            for (const std::string_view id : {"BEDS_RELOADED ", "BEDS_RELOAD_REFUSED "}) {
                for (auto at = log.find(id); at != std::string::npos; at = log.find(id, at + 1)) {
                    ++times;
                }
            }
            return times;
        };
        const auto before = told();
        bedsd_->signal(SIGHUP);
        const auto until = std::chrono::steady_clock::now() + soon;
        while (told() == before) {
            REQUIRE(std::chrono::steady_clock::now() < until);
            std::this_thread::sleep_for(std::chrono::milliseconds{5});
        }
    }
    void kill() {
        bedsd_->signal(SIGKILL);
        REQUIRE(bedsd_->wait(soon) == 128 + SIGKILL);
    }

private:
    std::string asked_;
    std::unique_ptr<process> bedsd_;
};

} // namespace daemon_test
