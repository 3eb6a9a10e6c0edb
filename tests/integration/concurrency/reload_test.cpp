#include "support/catch.hpp"
#include "support/counters.hpp"
#include "support/folder.hpp"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <malloc.h>
#include <mutex>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace beds;
using namespace std::chrono_literals;
using node::reload_result;

namespace {

constexpr auto patience = 30s;

core::deadline soon() {
    return core::deadline::after(patience);
}

/// Two sets of templates. In the second one `counters` has a field more, finds fewer rows and calls
/// another procedure, and `extras` is gone.
std::string counters_of(bool second) {
    std::string text{test::counters_template};
    const auto replace = [&text](std::string_view part, std::string_view by) {
        const auto at = text.find(part);
        REQUIRE(at != std::string::npos);
        text.replace(at, part.size(), by);
    };
    replace("store =", second ? "version = 2\nstore =" : "version = 1\nstore =");
    replace("[calls.move]", std::string{second ? "more = { type = \"int64\" }\n" : ""} +
                                "[calls.tally]\nclass = \"write\"\nout = [[\"by\", \"int64\"]]\n"
                                "procedure = \"" +
                                (second ? "tally_2" : "tally_1") + "\"\n[calls.move]");
    // A table's keys end where the next table begins.
    const auto more = text.find("more = ");
    if (more != std::string::npos) {
        text.erase(more, std::string_view{"more = { type = \"int64\" }\n"}.size());
        replace("note  =", "more = { type = \"int64\" }\nnote  =");
    }
    return text + "[limits]\nmax_rows = " + (second ? "3" : "5") + '\n';
}

std::string extras() {
    return R"toml(
template = { name = "extras", store = "rel", object = "extras", key = ["id"] }
[fields]
id = { type = "int64", required = true }
)toml";
}

void write_variant(const test::folder& to, bool second) {
    to.write("counters.toml", counters_of(second));
    if (second) {
        std::filesystem::remove(to.path("extras.toml"));
    } else {
        to.write("extras.toml", extras());
    }
}

struct reload_world {
    explicit reload_world(test::node_options given = {.rel = {.read = 2, .write = 2, .bulk = 0}})
        : rabbitmq(test::require_amqp()), where(test::require_mariadb()),
          control(test::shared_servers()), data(where, control) {
        test::make_counters(data, 8);
        data.sql("ALTER TABLE counters ADD COLUMN more BIGINT DEFAULT 7;"
                 "CREATE TABLE extras (id BIGINT PRIMARY KEY) ENGINE=InnoDB;"
                 "CREATE TABLE tallies (who BIGINT, KEY (who)) ENGINE=InnoDB;\nDELIMITER //\n"
                 "CREATE PROCEDURE tally_1(OUT p_by BIGINT) MODIFIES SQL DATA\nBEGIN\n"
                 "INSERT INTO tallies VALUES (1); SET p_by = 1;\nEND //\n"
                 "CREATE PROCEDURE tally_2(OUT p_by BIGINT) MODIFIES SQL DATA\nBEGIN\n"
                 "INSERT INTO tallies VALUES (2); SET p_by = 2;\nEND //\nDELIMITER ;\n");
        write_variant(files, false);
        files.write("marks.toml", test::marks_template);
        given.directory = files.root();
        const auto rel = data.settings();
        running = std::make_unique<test::running_node>(rabbitmq, &rel, given);
        REQUIRE(running->node().wait_ready(soon()));
    }
    [[nodiscard]] node::node& node() const { return running->node(); }

    test::endpoint rabbitmq;
    test::endpoint where;
    test::server_control control;
    test::database data;
    test::folder files;
    std::unique_ptr<test::running_node> running;
};

/// Of the process, in bytes.
std::size_t resident() {
    ::malloc_trim(0);
    std::ifstream file{"/proc/self/statm"};
    std::size_t size = 0;
    std::size_t pages = 0;
    file >> size >> pages;
    return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

/// What callers were told and did, to be compared with the tables.
struct told {
    std::mutex mutex;
    std::string wrong;
    std::atomic<long long> answered{0};
    std::atomic<long long> raised{0};
    std::atomic<long long> extras{0};
    std::atomic<long long> no_extras{0};
    std::atomic<long long> tallied[3]{};
    std::atomic<long long> marks{0};
    std::atomic<long long> together[3]{}; ///< envelopes, by the set that they saw

    void complain(const std::string& what, const client::reply& got) {
        const std::lock_guard lock{mutex};
        if (wrong.size() < 4000) {
            wrong += what + ": " + got.json().substr(0, 400) + '\n';
        }
    }
};

bool is_refused(const client::result& got, core::code code) {
    return got.code() == code && got.effect() == core::effect::none;
}

/// Which set answered a fetch of a field that only the second one has; 0: neither would.
int set_of(const client::result& got) {
    if (got.ok() && got.size() == 1 && got[0].integer("more") == 7) {
        return 2;
    }
    return is_refused(got, core::code::invalid_field) && got.field() == "more" ? 1 : 0;
}

client::operation fetch_more() {
    auto made = client::fetch("counters", 1);
    made.fields = {"id", "more"};
    return made;
}

/// Each sends one request after the other, of one kind.
class load {
public:
    load(const test::running_node& node, told& into) : node_(node), told_(into) {
        run([this](client::client& through, long long) { // reads: both belong to one set
            const auto got = through.call(
                client::request{std::vector{fetch_more(), client::find("counters")}}, patience);
            const int set = got.size() == 2 ? set_of(got[0]) : 0;
            if (set == 0 || !got[1].ok() || got[1].size() != (set == 2 ? 3U : 5U)) {
                told_.complain("fetch and find", got);
            }
            ++told_.together[set];
        });
        run([this](client::client& through, long long i) { // what both sets allow
            if (through.call(test::raise(i % 8 + 1), patience).ok()) {
                ++told_.raised;
            } else {
                told_.complain("raise", through.call(client::fetch("counters", 1)));
            }
        });
        run([this](client::client& through, long long i) { // of a template that comes and goes
            client::request request{client::insert("extras", client::members{{"id", i}})};
            request.id = "extra-" + std::to_string(i);
            const auto first = through.call(request, patience);
            const auto again = through.call(request, patience);
            const auto one = first.front();
            if (one.ok()) {
                ++told_.extras;
                if (again.json() != without_event(first, again)) {
                    told_.complain("insert, sent again after " + first.json(), again);
                }
            } else if (!is_refused(one, core::code::unknown_template)) {
                told_.complain("insert", first);
            } else if (again.ok()) { // it has come back meanwhile
                ++told_.extras;
            } else {
                ++told_.no_extras;
                if (!is_refused(again.front(), core::code::unknown_template)) {
                    told_.complain("insert, refused before", again);
                }
            }
        });
        run([this](client::client& through, long long i) { // a procedure that is swapped
            client::request request{client::call("counters", "tally")};
            request.id = "tally-" + std::to_string(i);
            const auto first = through.call(request, patience);
            const auto by = who(first.front());
            if (by == 0 || who(through.call(request, patience).front()) != by) {
                told_.complain("tally", first);
            }
            ++told_.tallied[by];
        });
        run([this](client::client& through, long long i) { // writes together
            const auto id = "together-" + std::to_string(i);
            client::request request{
                std::vector<client::operation>{test::raise(i % 8 + 1),
                                               client::call("counters", "tally"),
                                               client::insert("marks", {{"id", id}, {"value", i}})},
                i % 2 == 0 ? core::envelope_mode::sequence : core::envelope_mode::atomic};
            request.id = id;
            const auto got = through.call(request, patience);
            if (!got.ok() || got.size() != 3 || who(got[1]) == 0) {
                told_.complain("together", got);
                return;
            }
            ++told_.raised;
            ++told_.tallied[who(got[1])];
            ++told_.marks;
        });
    }
    ~load() { finish(); }
    void finish() {
        stop_ = true;
        for (auto& one : threads_) {
            one.join();
        }
        threads_.clear();
    }
    bool wait_for(long long more) const {
        const auto goal = told_.answered + more;
        const auto until = soon();
        while (told_.answered < goal && !until.expired()) {
            std::this_thread::sleep_for(1ms);
        }
        return told_.answered >= goal;
    }

private:
    static int who(const client::result& got) {
        const auto* by = got.ok() && got.out() != nullptr ? got.out()->find("by") : nullptr;
        return by == nullptr ? 0 : static_cast<int>(by->integer);
    }
    /// The first reply with the event of this one, which is every message's own.
    static std::string without_event(const client::reply& first, const client::reply& now) {
        auto text = first.json();
        const auto at = text.find(first.event());
        return text.replace(at, first.event().size(), now.event());
    }
    void run(std::function<void(client::client&, long long)> ask) {
        threads_.emplace_back([this, ask = std::move(ask)] {
            const auto through = node_.new_client();
            for (long long i = 1; !stop_; ++i) {
                ask(*through, i);
                ++told_.answered;
            }
        });
    }

    const test::running_node& node_;
    told& told_;
    std::atomic<bool> stop_{false};
    std::vector<std::thread> threads_;
};

} // namespace

TEST_CASE("templates are reloaded 200 times under load, with broken files among them: every answer "
          "fits one set") {
    reload_world here;
    auto& node = here.node();
    told heard;
    const auto asking = here.running->new_client();
    std::size_t memory = 0;
    bool second = false;
    int changed = 0;
    int refused = 0;
    {
        load all{*here.running, heard};
        for (int i = 1; i <= 200; ++i) {
            INFO("reload " << i);
            if (i % 2 == 0) {
                second = !second;
                write_variant(here.files, second);
                const auto done = node.reload_templates(soon());
                INFO(to_string(done));
                CHECK(done.result == reload_result::changed);
                CHECK(done.changes.size() == 2);
                CHECK(done.brokers == 4);
                CHECK(done.following == 4);
                changed += done.result == reload_result::changed ? 1 : 0;
                // In force as soon as that is said.
                CHECK(set_of(asking->call(fetch_more(), patience).front()) == (second ? 2 : 1));
            } else {
                // What would be another set but for one file of it.
                write_variant(here.files, !second);
                const auto broken = here.files.path("broken.toml");
                if (i % 3 == 0) {
                    here.files.write("broken.toml", "[template\n");
                } else if (i % 3 == 1) {
                    here.files.write("broken.toml", extras() + "colour = \"red\"\n");
                } else {
                    std::filesystem::create_symlink("nowhere.toml", broken);
                }
                const auto done = node.reload_templates(soon());
                CHECK(done.result == reload_result::refused);
                CHECK(done.problems.size() >= 1);
                CHECK(done.problems.front().find("broken.toml") != std::string::npos);
                refused += done.result == reload_result::refused ? 1 : 0;
                CHECK(set_of(asking->call(fetch_more(), patience).front()) == (second ? 2 : 1));
                std::filesystem::remove(broken);
            }
            CHECK(all.wait_for(25));
            CHECK(node.status().ready);
            if (i == 50) {
                memory = resident();
            }
        }
        const auto now = resident();
        INFO("resident: " << memory / 1024 << " KiB after 50 reloads, " << now / 1024
                          << " KiB after 200; answered " << heard.answered);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) // they keep what is freed
        CHECK(now < memory + (std::size_t{8} << 20U));
#endif
    }
    INFO(heard.wrong);
    CHECK(heard.wrong.empty());
    CHECK(heard.together[0] == 0);
    CHECK(heard.together[1] > 0);
    CHECK(heard.together[2] > 0);
    CHECK(heard.no_extras > 0);
    CHECK(here.data.number("SELECT SUM(value) FROM counters") == heard.raised);
    CHECK(here.data.number("SELECT COUNT(*) FROM extras") == heard.extras);
    CHECK(here.data.number("SELECT COUNT(*) FROM tallies WHERE who = 1") == heard.tallied[1]);
    CHECK(here.data.number("SELECT COUNT(*) FROM tallies WHERE who = 2") == heard.tallied[2]);
    CHECK(here.data.number("SELECT COUNT(*) FROM marks") == heard.marks);
    const auto status = node.status();
    CHECK(status.reload.changed == static_cast<std::uint64_t>(changed));
    CHECK(status.reload.refused == static_cast<std::uint64_t>(refused));
    CHECK(here.running->sum(&observe::broker_counters::amqp_connects) == 4);
    CHECK(here.running->sum(&observe::broker_counters::backend_connects) == 4);
    CHECK(here.running->sum(&observe::broker_counters::quarantined) == 0);
    const auto log = here.running->log();
    CHECK(log.find("node: BEDS_RELOADED changed: counters (version 1 to 2); removed: extras "
                   "(version 1); 4 of 4 broker(s) work by them") != std::string::npos);
    CHECK(log.find("node: BEDS_RELOAD_PROBLEM ") != std::string::npos);
    CHECK(log.find("node: BEDS_RELOAD_REFUSED 1 problem(s): nothing is changed") !=
          std::string::npos);
}

TEST_CASE("a template that a reload adds is served, one that it takes away is not, and its figures "
          "stay") {
    reload_world here{{.rel = {.read = 1, .write = 1, .bulk = 0}}};
    auto& node = here.node();
    const auto client = here.running->new_client();
    REQUIRE(client->call(client::insert("extras", client::members{{"id", 1}})).ok());
    const auto received = [&](const std::string& name) {
        for (const auto& one : node.traffic()) {
            if (one.name == name) {
                return static_cast<long long>(one.received);
            }
        }
        return -1LL;
    };
    CHECK(node.reload_templates(soon()).result == reload_result::unchanged);

    // Before it in order of name: places in the books are by name all the same.
    here.files.write("added.toml", "template = { name = \"added\", version = 4, store = \"rel\", "
                                   "object = \"extras\", key = [\"id\"] }\n[fields]\n"
                                   "id = { type = \"int64\", required = true }\n");
    CHECK(client->call(client::fetch("added", 1)).front().code() == core::code::unknown_template);
    CHECK(client->call(client::describe("added")).front().code() == core::code::unknown_template);
    const auto added = node.reload_templates(soon());
    INFO(to_string(added));
    CHECK(added.changes == std::vector<templates::change>{{"added", {}, 4}});
    CHECK(client->call(client::fetch("added", 1)).front().size() == 1);
    CHECK(client->call(client::insert("added", client::members{{"id", 2}})).ok());
    CHECK(client->call(client::describe("added")).ok());
    CHECK(received("added") == 2 + 1);
    CHECK(received("extras") == 1);

    write_variant(here.files, true);
    CHECK(node.reload_templates(soon()).changes.size() == 2);
    // A procedure that nobody has called yet was looked at: it does not commit by itself.
    const auto together =
        client->call(client::request{std::vector{test::raise(1), client::call("counters", "tally")},
                                     core::envelope_mode::atomic});
    INFO(together.json());
    CHECK(together.ok());
    const auto gone = client->call(client::fetch("extras", 1));
    CHECK(is_refused(gone.front(), core::code::unknown_template));
    CHECK(received("extras") == 1);
    write_variant(here.files, false);
    CHECK(node.reload_templates(soon()).result == reload_result::changed);
    CHECK(client->call(client::fetch("extras", 1)).front().size() == 1);
    CHECK(received("extras") == 2);
    CHECK(node.registry()->find("extras") != nullptr);
}

TEST_CASE("what a reload cannot do is refused and named, and all stays as it is") {
    reload_world here{{.rel = {.read = 1, .write = 1, .bulk = 0},
                       .mem = {.read = 0, .write = 1, .bulk = 0},
                       .idle_rel = "idle"}};
    auto& node = here.node();
    const auto client = here.running->new_client();
    const auto before = node.registry();
    const auto refused = [&](const std::string& file, const std::string& text,
                             const std::string& why) {
        const auto was = here.files.read(file);
        here.files.write(file, text);
        const auto done = node.reload_templates(soon());
        CHECK(done.result == reload_result::refused);
        CHECK(done.changes.size() <= 1);
        INFO(here.running->log());
        CHECK(here.running->log().find(why) != std::string::npos);
        CHECK(node.registry() == before);
        CHECK(client->call(test::raise(1)).ok());
        if (was.empty()) {
            std::filesystem::remove(here.files.path(file));
        } else {
            here.files.write(file, was);
        }
    };
    auto moved = extras();
    moved.replace(moved.find("store ="), 0, "connection = \"mem\", ");
    refused("extras.toml", moved,
            "template 'extras' moves from connection 'rel' to 'mem': that takes a restart");
    auto nowhere = extras();
    nowhere.replace(nowhere.find("store ="), 0, "connection = \"far\", ");
    refused("extras.toml", nowhere, "far");
    refused("second.toml", extras(), "template 'extras' is already in ");
    const std::string is_new =
        "template = { name = \"is_new\", store = \"rel\", object = \"extras\", "
        "key = [\"id\"], connection = ";
    const std::string its_key = " }\n[fields]\nid = { type = \"int64\" }\n";
    refused("is_new.toml", is_new + "\"idle\"" + its_key,
            "template 'is_new' is new on connection 'idle', for which this node has no brokers");
    // Known to the engine alone.
    refused("is_new.toml", is_new + "\"mem\"" + its_key + "[read]\nview = \"v\"\n",
            "[read] view is not there in the memory engine");
    CHECK(node.status().reload.refused == 5);
    CHECK(node.status().reload.last.result == reload_result::refused);

    // Nor is it possible in a directory that is gone, or by a node that does not run.
    const auto aside = here.files.root().string() + ".aside";
    std::filesystem::rename(here.files.root(), aside);
    CHECK(node.reload_templates(soon()).result == reload_result::refused);
    std::filesystem::rename(aside, here.files.root());
    CHECK(node.reload_templates(soon()).result == reload_result::unchanged);
    CHECK(node.registry() == before);
    CHECK(node.stop(soon()));
    const auto late = node.reload_templates(soon());
    CHECK(late.result == reload_result::refused);
    CHECK(late.problems == std::vector<std::string>{"the node does not run"});
}

TEST_CASE(
    "a broker that is at a long batch when templates are reloaded ends it by the old ones and "
    "follows") {
    reload_world here{{.rel = {.read = 1, .write = 1, .bulk = 0}}};
    auto& node = here.node();
    const auto client = here.running->new_client();
    client::reply slow{R"({"v":1,"status":"ok"})", ""};
    std::thread caller{[&] {
        slow =
            client->call(client::call("counters", "slow", {{"id", 1}, {"seconds", 2.0}}), patience);
    }};
    const auto until = soon();
    while (here.data.number("SELECT COUNT(*) FROM information_schema.processlist WHERE db = '" +
                            here.data.name() +
                            "' AND info LIKE '%SLEEP%' AND id <> CONNECTION_ID()") == 0 &&
           !until.expired()) {
        std::this_thread::sleep_for(5ms);
    }
    // The call is taken away from under it.
    auto text = counters_of(true);
    text.erase(text.find("[calls.slow]"), text.find("[limits]") - text.find("[calls.slow]"));
    here.files.write("counters.toml", text);
    const auto done = node.reload_templates(core::deadline::after(100ms));
    INFO(to_string(done));
    CHECK(done.result == reload_result::changed);
    CHECK(done.brokers == 2);
    CHECK(done.following == 1);
    CHECK(node.status().reload.last.following == 1);
    CHECK(set_of(client->call(fetch_more()).front()) == 2);
    caller.join();
    CHECK(slow.ok());
    const auto again =
        client->call(client::call("counters", "slow", {{"id", 1}, {"seconds", 0.0}}), patience);
    CHECK(is_refused(again.front(), core::code::invalid_field));
    CHECK(node.status().reload.last.following == 2);
    CHECK(here.data.number("SELECT value FROM counters WHERE id = 1") == 1);
}

TEST_CASE("brokers that are replaced while templates are reloaded work by the new ones") {
    reload_world here;
    auto& node = here.node();
    told heard;
    bool second = false;
    {
        load all{*here.running, heard};
        const auto asking = here.running->new_client();
        for (int i = 0; i < 20; ++i) {
            node.replace_brokers(); // or one goes on
            second = !second;
            write_variant(here.files, second);
            const auto done = node.reload_templates(soon());
            INFO(i << ": " << to_string(done));
            CHECK(done.result == reload_result::changed);
            CHECK(done.following == done.brokers);
            CHECK(set_of(asking->call(fetch_more(), patience).front()) == (second ? 2 : 1));
            CHECK(all.wait_for(10));
        }
    }
    const auto until = soon();
    while (node.status().replacement.under_way && !until.expired()) {
        std::this_thread::sleep_for(2ms);
    }
    INFO(heard.wrong);
    CHECK(heard.wrong.empty());
    CHECK(heard.together[0] == 0);
    CHECK(node.status().replacement.replaced == 4);
    CHECK(here.data.number("SELECT SUM(value) FROM counters") == heard.raised);
    CHECK(here.data.number("SELECT COUNT(*) FROM extras") == heard.extras);
    CHECK(here.data.number("SELECT COUNT(*) FROM marks") == heard.marks);
}
