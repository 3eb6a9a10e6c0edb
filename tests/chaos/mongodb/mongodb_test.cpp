#include "integration/mongodb/fixture.hpp"
#include "integration/mongodb/requests.hpp"
#include "support/callers.hpp"

using namespace beds;
using namespace beds::test;

namespace {

/// One set of servers for all cases: each leaves them running.
private_servers& servers() {
    static private_servers made{server::rabbitmq, server::mariadb, server::mongodb};
    return made;
}

/// The database is told to write its journal before it acknowledges: here it is killed.
std::string mongodb_uri() {
    const auto uri = servers().mongodb().uri;
    return uri + (uri.find('?') == std::string::npos ? "?" : "&") + "journal=true";
}

constexpr std::string_view readings_template = R"toml(
[template]
name = "readings"
store = "rec"
object = "readings"
key = ["id"]
[fields]
id = { type = "string", max = 80, required = true, column = "_id" }
value = { type = "int64", default = 0 }
)toml";

client::operation step(const std::string& id) {
    auto made = client::update("readings", id, {});
    made.inc = client::value::object({{"value", 1}});
    return made;
}

/// A node over MariaDB and MongoDB.
class world {
public:
    world() : rows(servers().mariadb(), servers()), documents(mongodb_uri(), unique_name()) {
        make_counters(rows, 12);
        rel = rows.settings();
        options.rel = {.read = 1, .write = 2, .bulk = 0};
        options.rec = {.read = 1, .write = 2, .bulk = 0};
        options.mongodb = mongodb::settings_for(mongodb_uri(), documents.name());
        options.mongodb->connect_timeout = 2s;
        options.templates = counter_templates();
        options.templates.emplace_back(readings_template);
    }
    void start() { running = std::make_unique<running_node>(servers().amqp(), &rel, options); }
    void start_ready() {
        start();
        REQUIRE(ready());
    }
    [[nodiscard]] bool ready(std::chrono::seconds within = 20s) const {
        return running->ready(within);
    }
    [[nodiscard]] node::dependency dependency(std::string_view name) const {
        for (const auto& one : running->node().status().dependencies) {
            if (one.name.starts_with(name)) {
                return one;
            }
        }
        FAIL("the node depends on no " << name);
        return {};
    }
    /// Stored values by id.
    std::map<std::string, long long> stored() {
        std::map<std::string, long long> made;
        for (const auto& text : documents.documents("readings")) {
            const auto after = [&](std::string_view name) {
                const auto at = text.find(name);
                REQUIRE(at != std::string::npos);
                return text.substr(at + name.size());
            };
            const auto id = after(R"("_id" : ")");
            made[id.substr(0, id.find('"'))] =
                std::stoll(after(R"("value" : { "$numberLong" : ")"));
        }
        return made;
    }

    database rows;
    mongodb::raw_database documents;
    config::rel_service_settings rel;
    node_options options;
    std::unique_ptr<running_node> running;
};

/// Writers of MongoDB: each request inserts a document and raises a counter. Nothing is sent again;
/// what an answer says is what is compared in the end.
class writers {
public:
    writers(const running_node& node, int count, std::chrono::milliseconds patience = 1s)
        : patience_(patience) {
        for (int i = 0; i < count; ++i) {
            clients_.push_back(node.new_client());
        }
        for (int i = 0; i < count; ++i) {
            threads_.emplace_back([this, i] { run(i); });
        }
    }
    ~writers() { finish(); }
    void finish() {
        stop_ = true;
        for (auto& one : threads_) {
            one.join();
        }
        threads_.clear();
    }
    bool wait_for(std::size_t more, std::chrono::seconds within = 20s) {
        const auto acknowledged = [&] {
            const std::lock_guard lock{mutex_};
            return inserted_.size();
        };
        const auto goal = acknowledged() + more;
        const auto until = core::deadline::after(within);
        while (acknowledged() < goal) {
            if (until.expired()) {
                return false;
            }
            std::this_thread::sleep_for(5ms);
        }
        return true;
    }

    /// After `finish`.
    void check(std::map<std::string, long long> stored, std::chrono::milliseconds machine) {
        INFO("acknowledged " << inserted_.size() << ", refused " << refused_.size() << ", unknown "
                             << unknown_.size() << ", raised " << raised_ << ", perhaps raised "
                             << perhaps_raised_ << ", latest " << latest_.count()
                             << " ms, machine late by " << machine.count() << " ms");
        for (const auto& [code, times] : codes_) {
            INFO(code << ' ' << times);
            CHECK((code.starts_with("BACKEND_UNAVAILABLE/") ||
                   code.starts_with("DEADLINE_EXCEEDED/")));
        }
        CHECK(unavailable_without_retry_after_ == 0);
        CHECK(latest_ <= 100ms + machine);
        const auto counter = stored["counter"];
        stored.erase("counter");
        CHECK(counter >= raised_);
        CHECK(counter <= raised_ + perhaps_raised_);
        for (const auto& id : inserted_) {
            INFO("acknowledged " << id);
            CHECK(stored.erase(id) == 1);
        }
        // What is left over nobody was promised not to happen.
        for (const auto& [id, value] : stored) {
            INFO("stored " << id);
            CHECK(unknown_.count(id) == 1);
        }
    }
    [[nodiscard]] std::size_t refused() const { return refused_.size(); }
    [[nodiscard]] bool saw(std::string_view code) const {
        return std::any_of(codes_.begin(), codes_.end(),
                           [&](const auto& one) { return one.first.starts_with(code); });
    }

private:
    void run(int number) {
        auto& through = *clients_[static_cast<std::size_t>(number)];
        for (int i = 0; !stop_; ++i) {
            const auto id = std::to_string(number) + "-" + std::to_string(i);
            const auto begin = std::chrono::steady_clock::now();
            const auto got = through.call(
                client::request{std::vector<client::operation>{
                    client::insert("readings", client::members{{"id", id}}), step("counter")}},
                patience_);
            note(id, got,
                 std::chrono::duration_cast<std::chrono::milliseconds>(
                     std::chrono::steady_clock::now() - begin));
            if (!got.ok()) {
                std::this_thread::sleep_for(20ms);
            }
        }
    }
    void note(const std::string& id, const client::reply& got, std::chrono::milliseconds took) {
        const std::lock_guard lock{mutex_};
        latest_ = std::max(latest_, took - patience_);
        for (std::size_t i = 0; i < got.size(); ++i) {
            const auto one = got[i];
            if (!one.ok()) {
                ++codes_[std::string{one.code_text()} + "/" + std::string{to_string(one.effect())}];
                unavailable_without_retry_after_ +=
                    one.code() == core::code::backend_unavailable && one.retry_after() <= 0ms;
            }
        }
        const auto insert = got[0].effect();
        (insert == core::effect::applied ? inserted_
         : insert == core::effect::none  ? refused_
                                         : unknown_)
            .insert(id);
        const auto raise = got[got.size() - 1].effect();
        raised_ += raise == core::effect::applied;
        perhaps_raised_ += raise == core::effect::unknown;
    }

    std::chrono::milliseconds patience_;
    std::atomic<bool> stop_{false};
    std::mutex mutex_;
    std::set<std::string> inserted_;
    std::set<std::string> refused_;
    std::set<std::string> unknown_;
    int raised_ = 0;
    int perhaps_raised_ = 0;
    std::map<std::string, int> codes_;
    int unavailable_without_retry_after_ = 0;
    std::chrono::milliseconds latest_{-1'000'000};
    std::vector<std::unique_ptr<client::client>> clients_;
    std::vector<std::thread> threads_;
};

/// Nobody who asked MariaDB noticed anything.
void check_untroubled(const database& rows, history& told, std::chrono::milliseconds machine) {
    INFO(told.text());
    CHECK(told.codes.empty());
    CHECK(told.sent_again == 0);
    CHECK(told.latest <= 100ms + machine);
    check_effects(rows, told);
}

} // namespace

TEST_CASE("MongoDB comes after the node: live, not ready, honest, then ready by itself") {
    world on;
    servers().stop(server::mongodb);
    on.start();
    CHECK(on.running->node().status().live);
    CHECK_FALSE(on.running->node().status().ready);
    // Brokers of all groups reach RabbitMQ in their own time.
    for (const auto until = core::deadline::after(10s);
         !on.dependency("rabbitmq").ready && !until.expired();) {
        std::this_thread::sleep_for(20ms);
    }
    auto client = on.running->new_client();
    const auto read = client->call(client::fetch("readings", "a"), 3s);
    const auto write =
        client->call(client::insert("readings", client::members{{"id", "early"}}), 3s);
    const auto wrong = client->call(client::fetch("reedings", "a"), 3s);
    const auto other = client->call(raise(1), 5s);
    const auto begin = std::chrono::steady_clock::now();
    const auto short_read = client->call(client::fetch("readings", "a"), 300ms);
    const auto took = std::chrono::steady_clock::now() - begin;
    const auto missing = on.dependency("database rec");
    CHECK(on.dependency("database rel").ready);
    CHECK(on.dependency("rabbitmq").ready);
    servers().start(server::mongodb);

    CHECK_FALSE(missing.ready);
    CHECK_FALSE(missing.trouble.empty());
    for (const auto* got : {&read, &write}) {
        INFO(got->json());
        CHECK(got->front().code() == core::code::backend_unavailable);
        CHECK(got->front().effect() == core::effect::none);
        CHECK(got->front().retry_after() > 0ms);
    }
    CHECK(wrong.front().code() == core::code::unknown_template);
    CHECK(other.ok());
    CHECK_FALSE(short_read.ok());
    CHECK(took < 1s);
    CHECK(on.ready());
    CHECK(on.stored().empty()); // what was refused did not happen later
    CHECK(client->call(client::insert("readings", client::members{{"id", "late"}}), 5s).ok());
    CHECK(on.stored().size() == 1);
}

TEST_CASE(
    "MongoDB is killed under load: acknowledged is there, refused is not, MariaDB is served") {
    world on;
    on.start_ready();
    REQUIRE(on.running->new_client()
                ->call(client::insert("readings", client::members{{"id", "counter"}}), 5s)
                .ok());
    lateness machine;
    history told;
    callers others{*on.running, told, 2, callers::giving_up::never};
    writers load{*on.running, 3};
    REQUIRE(load.wait_for(40));
    servers().kill(server::mongodb);
    std::this_thread::sleep_for(500ms);
    CHECK(on.running->node().status().live);
    CHECK_FALSE(on.running->node().status().ready);
    CHECK(others.wait_for(30)); // while MongoDB is away
    servers().start(server::mongodb);
    REQUIRE(load.wait_for(40));
    CHECK(on.ready(5s));
    load.finish();
    others.finish();
    INFO(on.running->log());
    CHECK(load.saw("BACKEND_UNAVAILABLE/none"));
    CHECK(load.refused() > 0);
    load.check(on.stored(), machine.most());
    check_untroubled(on.rows, told, machine.most());
}

TEST_CASE("MongoDB freezes: calls end by their deadlines, MariaDB is served, then all is again") {
    world on;
    on.start_ready();
    auto client = on.running->new_client();
    REQUIRE(client->call(client::insert("readings", client::members{{"id", "counter"}}), 5s).ok());
    lateness machine;
    history told;
    callers others{*on.running, told, 2, callers::giving_up::never};
    writers load{*on.running, 2, 400ms};
    REQUIRE(load.wait_for(20));

    servers().pause(server::mongodb);
    for (int i = 0; i < 4; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        const auto got = client->call(client::fetch("readings", "counter"), 400ms);
        const auto took = std::chrono::steady_clock::now() - begin;
        INFO(got.json());
        CHECK((got.front().code() == core::code::deadline_exceeded ||
               got.front().code() == core::code::backend_unavailable));
        CHECK(got.front().effect() == core::effect::none);
        CHECK(took <= 500ms + machine.most());
    }
    CHECK(on.running->node().status().live);
    CHECK(others.wait_for(30));
    servers().resume(server::mongodb);

    REQUIRE(load.wait_for(20));
    CHECK(on.ready(10s));
    load.finish();
    others.finish();
    INFO(on.running->log());
    CHECK(client->call(client::fetch("readings", "counter"), 5s).ok());
    CHECK((load.saw("DEADLINE_EXCEEDED") || load.saw("BACKEND_UNAVAILABLE")));
    load.check(on.stored(), machine.most());
    check_untroubled(on.rows, told, machine.most());
}

TEST_CASE("while MongoDB stands still the templates on MariaDB are as fast as before") {
    world on;
    on.start_ready();
    auto client = on.running->new_client();
    const auto slow_ones = [&] {
        std::vector<std::chrono::steady_clock::duration> took;
        for (int i = 0; i < 1000; ++i) {
            const auto begin = std::chrono::steady_clock::now();
            REQUIRE(client->call(client::fetch("counters", 1), 5s).ok());
            took.push_back(std::chrono::steady_clock::now() - begin);
        }
        std::sort(took.begin(), took.end());
        return took[took.size() - took.size() / 100]; // the 99th percentile
    };
    static_cast<void>(slow_ones()); // connections and statements are made
    lateness machine;
    const auto before = slow_ones();
    servers().pause(server::mongodb);
    std::atomic<bool> over{false};
    std::atomic<int> answered{0};
    std::vector<std::thread> stuck;
    for (int i = 0; i < 4; ++i) {
        stuck.emplace_back([&] {
            auto own = on.running->new_client();
            while (!over) {
                answered += own->call(client::fetch("readings", "a"), 400ms).ok() ? 1 : 0;
            }
        });
    }
    std::this_thread::sleep_for(500ms);
    const auto as_fast = [&](auto taken) { return taken <= before * 3 / 2 + 2ms + machine.most(); };
    auto meanwhile = slow_ones();
    for (int more = 0; more < 4 && !as_fast(meanwhile); ++more) { // other tests are at work, too
        meanwhile = std::min(meanwhile, slow_ones());
    }
    over = true;
    for (auto& one : stuck) {
        one.join();
    }
    servers().resume(server::mongodb);
    CHECK(answered == 0);
    using milliseconds = std::chrono::duration<double, std::milli>;
    INFO(milliseconds{before}.count()
         << " ms before, " << milliseconds{meanwhile}.count() << " ms meanwhile");
    CHECK(as_fast(meanwhile));
}

namespace {

/// A broker of its own, and what it asks for: again and again, with the same ids, until it is told.
struct persistent_writer {
    persistent_writer(const std::shared_ptr<adapters::adapter>& adapter,
                      const std::shared_ptr<const templates::registry>& registry, int number,
                      int rows)
        : broker_(adapter, registry,
                  {observe::level::info,
                   [this](const observe::log_record& record) {
                       log += std::string{record.id} + ' ' + std::string{record.text} + '\n';
                   }}),
          number_(number), rows_(rows), random_(static_cast<unsigned>(number) + 1) {}

    void one_batch() {
        std::vector<mongodb::sent> open;
        for (int i = 0; i < 12; ++i) {
            const auto id = std::to_string(number_) + "-" + std::to_string(next_++);
            const auto row = random_() % static_cast<unsigned>(rows_);
            open.push_back(
                {id, i % 4 == 3
                         ? R"("template":"readings","op":"insert","data":{"id":")" + id + "\"}"
                         : R"("template":"readings","op":"update","key":"r)" + std::to_string(row) +
                               R"(","inc":{"value":1})"});
            if (i % 4 != 3) {
                ++increments;
            }
        }
        std::map<std::string, int> lost;
        const auto until = core::deadline::after(60s);
        while (!open.empty()) {
            const auto got = broker_.run(open);
            std::vector<mongodb::sent> rest;
            for (std::size_t i = 0; i < open.size(); ++i) {
                const bool insert = open[i].body.find("insert") != std::string::npos;
                if (got[i].find(R"("effect":"applied")") != std::string::npos) {
                    (insert ? inserted : raised).insert(open[i].id);
                } else if (got[i].find("BACKEND_CONFLICT") != std::string::npos &&
                           got[i].find("unknown") != std::string::npos && ++lost[open[i].id] == 3) {
                    (insert ? lost_inserts : lost_increments).insert(open[i].id);
                } else {
                    replies.insert(got[i].substr(0, 200));
                    rest.push_back(open[i]);
                    rest.back().redelivered = true;
                }
            }
            open = std::move(rest);
            if (until.expired()) {
                failed = got.front();
                return;
            }
            if (!open.empty()) {
                std::this_thread::sleep_for(30ms);
            }
        }
    }

    int increments = 0;
    std::set<std::string> raised;
    std::set<std::string> inserted;
    std::set<std::string> lost_increments;
    std::set<std::string> lost_inserts;
    std::set<std::string> replies; ///< that made it ask again
    std::string failed;
    std::string log;

private:
    mongodb::requests broker_;
    int number_;
    int rows_;
    int next_ = 0;
    std::mt19937 random_;
};

} // namespace

TEST_CASE("MongoDB is killed again and again in the middle of writes: each counts once") {
    const int kills = in_full() ? 60 : 8;
    constexpr int rows = 3000;
    mongodb::raw_database documents{mongodb_uri(), unique_name()};
    for (int first = 0; first < rows; first += 500) {
        std::string all;
        for (int i = first; i < first + 500; ++i) {
            // With rings that go back: the rows are older than the writes.
            all += (i == first ? "" : ",") + (R"({"_id": "r)" + std::to_string(i)) +
                   R"(", "value": {"$numberLong": "0"},
                       "_beds": [{"$oid": "5f0000000000000000000001"}]})";
        }
        documents.run(R"({"insert": "readings", "documents": [)" + all + "]}");
    }
    auto settings = mongodb::settings_for(mongodb_uri(), documents.name());
    settings.connect_timeout = 2s;
    const auto adapter = adapters::make_mongodb("rec", settings);
    auto text = std::string{readings_template};
    text.insert(text.find("object"), "connection = \"rec\"\n");
    const auto registry = mongodb::registry_of({text});
    std::vector<std::unique_ptr<persistent_writer>> writers;
    for (int i = 0; i < 3; ++i) {
        writers.push_back(std::make_unique<persistent_writer>(adapter, registry, i, rows));
    }
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (auto& writer : writers) {
        threads.emplace_back([&stop, &writer] {
            while (!stop && writer->failed.empty()) {
                writer->one_batch();
            }
        });
    }
    std::mt19937 random{std::random_device{}()};
    for (int i = 0; i < kills; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds{100 + random() % 300});
        servers().kill(server::mongodb);
        servers().start(server::mongodb);
    }
    std::this_thread::sleep_for(300ms);
    stop = true;
    for (auto& thread : threads) {
        thread.join();
    }
    long long raised = 0;
    std::set<std::string> there;
    for (const auto& one : documents.documents("readings")) {
        constexpr std::string_view id_before = R"("_id" : ")";
        constexpr std::string_view value_before = R"("value" : { "$numberLong" : ")";
        const auto id_at = one.find(id_before) + id_before.size();
        const auto id = one.substr(id_at, one.find('"', id_at) - id_at);
        if (id.front() == 'r') {
            raised += std::stoll(one.substr(one.find(value_before) + value_before.size()));
        } else {
            there.insert(id);
        }
    }
    long long asked = 0;
    std::size_t lost_inserts = 0;
    std::set<std::string> replies;
    for (const auto& writer : writers) {
        INFO("the database did not come back: " << writer->failed << '\n' << writer->log);
        CHECK(writer->failed.empty());
        asked += writer->increments;
        CHECK(writer->lost_increments.empty()); // the ring tells of each
        CHECK(writer->raised.size() == static_cast<std::size_t>(writer->increments));
        for (const auto& id : writer->inserted) {
            INFO("acknowledged " << id);
            CHECK(there.erase(id) == 1);
        }
        for (const auto& id : writer->lost_inserts) {
            there.erase(id);
        }
        lost_inserts += writer->lost_inserts.size();
        replies.insert(writer->replies.begin(), writer->replies.end());
    }
    std::string asked_again;
    for (const auto& one : replies) {
        asked_again += "\n  " + one;
    }
    INFO("killed " << kills << " times, increments " << asked << ", inserts that cannot be told "
                   << lost_inserts << ", asked again after" << asked_again);
    CHECK(raised == asked);
    CHECK(there.empty());
    CHECK(documents.documents("beds_inbox").size() >= static_cast<std::size_t>(asked));
}
