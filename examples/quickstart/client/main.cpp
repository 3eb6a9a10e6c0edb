// Sends requests to BEDS through RabbitMQ, checks every answer, and prints them as a table.
// Run by examples/quickstart/run; by hand after `. examples/quickstart/.run/env`.

#include "servers.hpp"
#include "table.hpp"

#include <beds/amqp/settings.hpp>
#include <beds/client/amqp_client.hpp>
#include <beds/core/error.hpp>

#include <iostream>
#include <random>
#include <thread>

namespace {

using namespace std::chrono_literals;
using beds::client::operation;
using beds::client::reply;
using beds::client::request;
using beds::client::value;
using beds::core::code;
using beds::core::effect;
using quickstart::difference;
using quickstart::line;

constexpr unsigned many = 32;

struct answered {
    beds::client::reply reply;
    std::chrono::microseconds took;
};

std::string text_of(const beds::client::result& got) {
    if (got.ok()) {
        return "ok";
    }
    std::string text{got.code_text()};
    if (!got.reason().empty()) {
        text.append(" ").append(got.reason());
    }
    return text;
}

/// Compares texts; the first difference of an answer is the one that is told.
class checked {
public:
    void equal(const std::string& what, const std::string& expected, const std::string& got) {
        if (wrong_.none() && expected != got) {
            wrong_ = {what + " " + expected, got.empty() ? "nothing" : got};
        }
    }
    void that(bool right, const std::string& expected, const std::string& got) {
        if (wrong_.none() && !right) {
            wrong_ = {expected, got};
        }
    }
    [[nodiscard]] const difference& wrong() const { return wrong_; }

private:
    difference wrong_;
};

/// "1000.00" as hundredths, so that money is compared exactly.
long long hundredths(std::string_view amount) {
    long long sum = 0;
    for (const char digit : amount) {
        if (digit >= '0' && digit <= '9') {
            sum = sum * 10 + (digit - '0');
        }
    }
    return !amount.empty() && amount.front() == '-' ? -sum : sum;
}

operation transfer(int from, int to, const char* amount) {
    return beds::client::call("accounts", "transfer",
                              {{"from", from}, {"to", to}, {"amount", amount}});
}

operation page(operation asked, std::vector<std::string> sort, std::uint32_t limit,
               std::string_view after = {}) {
    asked.sort = std::move(sort);
    asked.limit = limit;
    asked.after = after;
    return asked;
}

class demo {
public:
    explicit demo(beds::client::client& client)
        : client_(client), with_mongodb_(quickstart::environment("BEDS_MONGODB_URI").has_value()) {}

    bool run() {
        fetches();
        pages("MariaDB", "languages", "scope", "M");
        pages("MongoDB", "subdivisions", "country", "MX");
        transfers();
        misspelt_field();
        envelope();
        database_away();
        sent_twice();
        if (table_.skipped() != 0 && quickstart::environment("BEDS_REQUIRE_SERVERS") == "1") {
            std::cout << "\nskipped lines count as wrong: BEDS_REQUIRE_SERVERS=1" << std::endl;
            return table_.finish() && false;
        }
        return table_.finish();
    }

private:
    answered ask(request what) {
        const auto began = std::chrono::steady_clock::now();
        auto got = client_.call(std::move(what), 10s);
        return {std::move(got), std::chrono::duration_cast<std::chrono::microseconds>(
                                    std::chrono::steady_clock::now() - began)};
    }
    /// Brokers meet an outage and its end each for itself: what may be sent again is, with its id.
    answered ask_until_served(const request& what) {
        const auto until = beds::core::deadline::after(20s);
        for (;;) {
            auto got = ask(what);
            bool again = false;
            for (std::size_t i = 0; i < got.reply.size(); ++i) {
                again = again || (!got.reply[i].ok() && got.reply[i].retryable());
            }
            if (!again || until.expired()) {
                return got;
            }
            std::this_thread::sleep_for(20ms);
        }
    }

    void show(const std::string& shows, const std::string& asked, const std::string& engine,
              const answered& got, const checked& check, const std::string& note = {}) {
        const auto result = got.reply.front();
        table_.add({shows, asked, engine, text_of(result), std::string{to_string(result.effect())},
                    std::to_string(result.size()), got.took},
                   check.wrong(), note);
    }

    static void expect(checked& check, const reply& got, const std::string& answer,
                       effect happened) {
        // The detail says why an unexpected error came.
        const auto result = got.front();
        const auto seen = text_of(result);
        check.that(seen == answer, answer,
                   seen + (result.detail().empty() ? "" : ": " + std::string{result.detail()}));
        check.equal("effect", std::string{to_string(happened)},
                    std::string{to_string(result.effect())});
    }

    bool mongodb_skipped(const std::string& engine, const std::string& shows,
                         const std::string& asked) {
        if (engine != "MongoDB" || with_mongodb_) {
            return false;
        }
        table_.skip(shows, asked, engine, "no MongoDB server");
        return true;
    }

    void fetch(const std::string& shows, const std::string& engine, const std::string& name,
               const std::string& key, const std::string& expected_name) {
        const auto asked = "fetch " + name + " " + key;
        if (mongodb_skipped(engine, shows, asked)) {
            return;
        }
        const auto got = ask(beds::client::fetch(name, key));
        checked check;
        expect(check, got.reply, "ok", effect::none);
        check.equal("rows", "1", std::to_string(got.reply.front().size()));
        if (got.reply.front().size() == 1) {
            check.equal("name", expected_name, std::string{got.reply.front()[0].text("name")});
        }
        show(shows, asked, engine, got, check);
    }

    void fetches() {
        fetch("one row by its key", "MariaDB", "countries", "MX", "Mexico");
        fetch("the same shape, other engine", "MongoDB", "subdivisions", "MX-OAX", "Oaxaca");
    }

    /// Two pages of a find; the second begins where the first ended.
    void pages(const std::string& engine, const std::string& name, const std::string& field,
               const std::string& equal) {
        const auto asked = "find " + name + " " + field + "=" + equal + " by name";
        if (mongodb_skipped(engine, "a find", asked)) {
            mongodb_skipped(engine, "its next page", asked);
            return;
        }
        constexpr std::uint32_t limit = 5;
        const auto find = beds::client::find(name, {{field, equal}});
        const auto first = ask(page(find, {"name"}, limit));
        checked check;
        std::string last;
        const auto in_order = [&](const reply& got) {
            expect(check, got, "ok", effect::none);
            check.equal("rows", std::to_string(limit), std::to_string(got.front().size()));
            for (std::size_t i = 0; i < got.front().size(); ++i) {
                const std::string next{got.front()[i].text("name")};
                check.that(last < next, "a name after '" + last + "'", "'" + next + "'");
                check.equal(field, equal, std::string{got.front()[i].text(field)});
                last = next;
            }
        };
        in_order(first.reply);
        check.that(!first.reply.front().next().empty(), "a cursor of the next page", "none");
        show("a find", asked + " limit 5", engine, first, check);

        const auto second = ask(page(find, {"name"}, limit, first.reply.front().next()));
        check = {};
        in_order(second.reply);
        show("its next page", asked + " after …", engine, second, check);
    }

    /// Balances of accounts 1 and 2, in hundredths.
    std::pair<long long, long long> balances() {
        const auto got = ask_until_served(request{{beds::client::fetch("accounts", 1),
                                                   beds::client::fetch("accounts", 2)}})
                             .reply;
        if (!got.ok() || got[0].size() != 1 || got[1].size() != 1) {
            throw std::runtime_error{"the balances of accounts 1 and 2 cannot be read: " +
                                     got.json()};
        }
        return {hundredths(got[0][0].text("balance")), hundredths(got[1][0].text("balance"))};
    }

    static void expect_moved(checked& check, std::pair<long long, long long> before,
                             std::pair<long long, long long> after, long long moved) {
        const auto shown = [](std::pair<long long, long long> both) {
            return std::to_string(both.first) + " and " + std::to_string(both.second) +
                   " hundredths";
        };
        const std::pair expected{before.first - moved, before.second + moved};
        check.that(after == expected, "balances " + shown(expected), shown(after));
    }

    void transfers() {
        const auto before = balances();
        const auto got = ask(transfer(1, 2, "10.00"));
        checked check;
        expect(check, got.reply, "ok", effect::applied);
        const auto* out = got.reply.front().out();
        const auto* balance = out == nullptr ? nullptr : out->find("new_balance");
        check.equal("new_balance in hundredths", std::to_string(before.first - 1000),
                    balance == nullptr ? "" : std::to_string(hundredths(balance->text)));
        const auto between = balances();
        expect_moved(check, before, between, 1000);
        show("a transfer by the DBA's procedure", "call accounts transfer 1 to 2, 10.00", "MariaDB",
             got, check);

        const auto refused = ask(transfer(1, 2, "1000000.00"));
        check = {};
        expect(check, refused.reply, "REJECTED INSUFFICIENT_FUNDS", effect::none);
        expect_moved(check, between, balances(), 0);
        show("refused by that procedure", "call accounts transfer 1 to 2, 1000000.00", "MariaDB",
             refused, check);
    }

    void misspelt_field() {
        const auto got = ask(beds::client::find("countries", {{"nmae", "Mexico"}}));
        checked check;
        expect(check, got.reply, "INVALID_FIELD", effect::none);
        const std::string detail{got.reply.front().detail()};
        check.that(detail.find("did you mean 'name'") != std::string::npos, "did you mean 'name'",
                   detail);
        show("a misspelt field", "find countries nmae=Mexico", "MariaDB", got, check, detail);
    }

    /// The same fetches one after another and in one message.
    void envelope() {
        const auto found = client_.call(
            page(beds::client::find("languages", {{"scope", "I"}}), {"name"}, many), 10s);
        std::vector<operation> operations;
        std::vector<std::string> names;
        for (std::size_t i = 0; i < found.front().size(); ++i) {
            operations.push_back(beds::client::fetch("languages", found.front()[i].text("code")));
            names.emplace_back(found.front()[i].text("name"));
        }
        const auto check_row = [&](checked& check, const beds::client::result& got, std::size_t i) {
            check.equal("answer", "ok", text_of(got));
            check.equal("name", names[i], std::string{got.size() == 1 ? got[0].text("name") : ""});
        };
        checked check;
        check.equal("rows", std::to_string(many), std::to_string(operations.size()));
        std::chrono::microseconds sum{0};
        for (std::size_t i = 0; i < operations.size(); ++i) {
            const auto got = ask(operations[i]);
            sum += got.took;
            check_row(check, got.reply.front(), i);
        }
        table_.add({"32 requests, each its own message", "fetch languages, 32 keys", "MariaDB",
                    "ok", "none", std::to_string(operations.size()), sum},
                   check.wrong());

        check = {};
        const auto got = ask(request{operations});
        check.equal("results", std::to_string(many), std::to_string(got.reply.size()));
        for (std::size_t i = 0; i < got.reply.size() && i < names.size(); ++i) {
            check_row(check, got.reply[i], i);
        }
        table_.add({"the same 32 in one message", "envelope of 32 fetch languages", "MariaDB",
                    got.reply.ok() ? "ok" : text_of(got.reply.front()), "none",
                    std::to_string(got.reply.size()), got.took},
                   check.wrong());
    }

    void database_away() {
        const auto mariadb = quickstart::database_switch::from_environment();
        const std::string asked = "fetch countries MX";
        if (!mariadb) {
            table_.skip("MariaDB stopped", asked, "MariaDB", "no BEDS_SERVERS_TOOL, …_DIR");
            table_.skip("MariaDB started again", asked, "MariaDB", "no BEDS_SERVERS_TOOL, …_DIR");
            return;
        }
        if (!mariadb->stop()) {
            throw std::runtime_error{"MariaDB could not be stopped"};
        }
        const auto away = ask(beds::client::fetch("countries", "MX"));
        checked check;
        expect(check, away.reply, "BACKEND_UNAVAILABLE", effect::none);
        show("MariaDB stopped: told at once", asked, "MariaDB", away, check);
        fetch("… the other engine is served", "MongoDB", "subdivisions", "MX-OAX", "Oaxaca");

        if (!mariadb->start()) {
            throw std::runtime_error{"MariaDB could not be started again"};
        }
        const auto began = std::chrono::steady_clock::now();
        auto back = ask_until_served(request{beds::client::fetch("countries", "MX")});
        back.took = std::chrono::duration_cast<std::chrono::microseconds>(
            std::chrono::steady_clock::now() - began);
        check = {};
        expect(check, back.reply, "ok", effect::none);
        check.equal("rows", "1", std::to_string(back.reply.front().size()));
        if (back.reply.front().size() == 1) {
            check.equal("name", "Mexico", std::string{back.reply.front()[0].text("name")});
        }
        show("MariaDB started: served again", asked + " until it answers", "MariaDB", back, check);
    }

    /// One id, sent twice: the answer twice, the effect once. Moves back what `transfers` moved.
    void sent_twice() {
        request write{transfer(2, 1, "10.00")};
        std::random_device random;
        write.id = "quickstart-" + std::to_string(random()) + "-" + std::to_string(random());
        const auto before = balances();
        const auto first = ask_until_served(write);
        checked check;
        expect(check, first.reply, "ok", effect::applied);
        expect_moved(check, before, balances(), -1000);
        show("a write", "call accounts transfer 2 to 1, 10.00", "MariaDB", first, check);

        const auto second = ask(write);
        check = {};
        expect(check, second.reply, "ok", effect::applied);
        const auto balance = [](const reply& got) {
            const auto* out = got.front().out();
            const auto* found = out == nullptr ? nullptr : out->find("new_balance");
            return found == nullptr ? std::string{} : std::string{found->text};
        };
        check.equal("new_balance", balance(first.reply), balance(second.reply));
        const auto after = balances();
        expect_moved(check, before, after, -1000);
        show("the same write sent again", "the same request, the same id", "MariaDB", second, check,
             "account 2 before: " + std::to_string(before.second / 100) +
                 ", after both: " + std::to_string(after.second / 100) + ": moved once");
    }

    beds::client::client& client_;
    bool with_mongodb_;
    quickstart::table table_;
};

} // namespace

int main() {
    try {
        const auto url = quickstart::environment("AMQP_URL");
        if (!url) {
            std::cerr
                << "quickstart_client: AMQP_URL is not set; run examples/quickstart/run --keep, "
                   "then . examples/quickstart/.run/env\n";
            return 2;
        }
        beds::client::amqp_client_settings settings;
        settings.amqp = beds::amqp::parse_amqp_uri(*url);
        settings.queue_tag = quickstart::environment("BEDS_QUEUE_TAG").value_or("");
        settings.name = "quickstart";
        const auto client = beds::client::make_amqp_client(settings);
        if (!client->wait_ready(beds::core::deadline::after(10s))) {
            std::cerr << "quickstart_client: RabbitMQ does not answer at " << settings.amqp.host
                      << ':' << settings.amqp.effective_port() << '\n';
            return 1;
        }
        return demo{*client}.run() ? 0 : 1;
    } catch (const std::exception& failed) {
        std::cerr << "quickstart_client: " << failed.what() << '\n';
        return 1;
    }
}
