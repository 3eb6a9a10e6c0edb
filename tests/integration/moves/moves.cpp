#include "moves.hpp"

#include "support/catch.hpp"

#include <atomic>
#include <functional>
#include <mutex>
#include <set>
#include <thread>

namespace beds::test {
namespace {

using namespace std::chrono_literals;

constexpr auto patience = 30s;
constexpr std::string_view inserted = "inserted";

/// What callers were told, to be compared with the objects.
struct told {
    std::mutex mutex;
    std::string wrong;
    std::atomic<int> answered{0};
    std::atomic<long long> raised{0};
    std::atomic<long long> inserted{0};
    std::atomic<long long> seen_old{0};
    std::atomic<long long> seen_new{0};

    void complain(const std::string& what, const client::reply& got) {
        const std::lock_guard lock{mutex};
        if (wrong.size() < 4'000) {
            wrong += what + ": " + got.json().substr(0, 400) + '\n';
        }
    }
};

client::operation find_words() {
    auto made = client::find("things");
    made.where = client::value::from_json(R"({"word":{"in":["old","new","wrong"]}})");
    return made;
}

/// The word that all of these rows have, all that there are; "" when there is no such word.
std::string one_word(const core::datum* rows, std::size_t expected) {
    std::set<std::string> words;
    if (rows == nullptr || rows->count != expected) {
        return {};
    }
    for (const auto& each : rows->items()) {
        words.insert(std::string{client::row{each}.text("word")});
    }
    return words.size() == 1 ? *words.begin() : std::string{};
}

std::string one_word(const client::result& got, std::size_t expected) {
    return one_word(got.data().find("rows"), expected);
}

std::string version(std::string text, int number) {
    const std::string_view first = "version = 1";
    return text.replace(text.find(first), first.size(), "version = " + std::to_string(number));
}

client::operation raise(std::int64_t id) {
    auto made = client::update("things", id, {});
    made.inc = client::value::object({{"number", 1}});
    return made;
}

/// Callers of one kind each, one request after the other.
class load {
public:
    load(const running_node& node, told& into) : node_(node), told_(into) {
        ask([this](client::client& through, int i) { // reads of one message see one object
            const auto got = through.call(client::request{std::vector{
                                              client::fetch("things", i % moved_rows + 1),
                                              find_words(),
                                              client::call("things", "words"),
                                          }},
                                          patience);
            const auto word = got.ok() && got.size() == 3 ? one_word(got[0], 1) : std::string{};
            if ((word != "old" && word != "new") || one_word(got[1], moved_rows) != word ||
                one_word(got[2].set("words"), moved_rows) != word) {
                told_.complain("reads", got);
            }
            ++(word == "old" ? told_.seen_old : told_.seen_new);
        });
        ask([this](client::client& through, int i) {
            const auto got = through.call(raise(i % moved_rows + 1), patience);
            if (got.ok()) {
                ++told_.raised;
            } else {
                told_.complain("raise", got);
            }
        });
        ask([this](client::client& through, int i) { // sent again, it may meet the other object
            client::request request{
                client::insert("things", {{"id", 100 + i}, {"word", std::string{inserted}}})};
            request.id = "thing-" + std::to_string(i);
            const auto got = through.call(request, patience);
            const auto again = through.call(request, patience);
            if (!got.ok() || !again.ok()) {
                told_.complain("insert", got.ok() ? again : got);
            }
            ++told_.inserted;
        });
    }
    ~load() { finish(); }
    load(const load&) = delete;
    load& operator=(const load&) = delete;

    void finish() {
        stop_ = true;
        for (auto& each : threads_) {
            each.join();
        }
        threads_.clear();
    }
    [[nodiscard]] bool goes_on() const {
        const auto goal = told_.answered + 12;
        const auto until = core::deadline::after(patience);
        while (told_.answered < goal && !until.expired()) {
            std::this_thread::sleep_for(1ms);
        }
        return told_.answered >= goal;
    }

private:
    void ask(std::function<void(client::client&, int)> one) {
        threads_.emplace_back([this, one = std::move(one)] {
            const auto through = node_.new_client();
            for (int i = 0; !stop_; ++i) {
                one(*through, i);
                ++told_.answered;
            }
        });
    }

    const running_node& node_;
    told& told_;
    std::atomic<bool> stop_{false};
    std::vector<std::thread> threads_;
};

} // namespace

std::vector<moved_thing> moved_things() {
    return {{"old_things", "old", "wrong", 0, -1000}, {"new_things", "wrong", "new", -1000, 0}};
}

std::string things_template(const std::string& store, bool moved, const std::string& call) {
    const std::string word = moved ? "b" : "a";
    const std::string number = moved ? "m" : "n";
    return "[template]\nname = \"things\"\nversion = " + std::string{moved ? "2" : "1"} +
           "\nstore = \"" + store + "\"\nobject = \"" + (moved ? "new_things" : "old_things") +
           "\"\nkey = [\"id\"]\n[fields]\nid = { type = \"int64\", required = true }\n"
           "word = { type = \"string\", max = 20, column = \"" +
           word + "\" }\nnumber = { type = \"int64\", column = \"" + number +
           "\" }\n[[index]]\nfields = [\"word\"]\n[calls.words]\nclass = \"read\"\n" + call +
           "\n[[calls.words.returns]]\nname = \"words\"\nfields = [[\"word\", \"string\"]]\n";
}

std::vector<std::string> object_templates(const std::string& store) {
    std::vector<std::string> made;
    for (const auto& each : moved_things()) {
        made.push_back("[template]\nname = \"" + each.object + "\"\nstore = \"" + store +
                       "\"\nobject = \"" + each.object +
                       "\"\nkey = [\"id\"]\n[fields]\nid = { type = \"int64\", required = true }\n"
                       "a = { type = \"string\", max = 20 }\nb = { type = \"string\", max = 20 }\n"
                       "n = { type = \"int64\" }\nm = { type = \"int64\" }\n"
                       "[[index]]\nfields = [\"a\"]\n[[index]]\nfields = [\"b\"]\n");
    }
    return made;
}

void check_moves(const running_node& running, const folder& files, const std::string& before,
                 const std::string& after) {
    const auto asking = running.new_client();
    told heard;
    {
        load all{running, heard};
        for (int i = 1; i <= 60; ++i) {
            INFO("reload " << i);
            // Three texts, so that what is made where the last but one has been is not the same.
            const bool moved = i % 3 == 1;
            files.write("things.toml", moved ? after : i % 3 == 2 ? version(before, 3) : before);
            const auto done = running.node().reload_templates(core::deadline::after(patience));
            INFO(to_string(done));
            CHECK(done.result == node::reload_result::changed);
            CHECK(done.following == done.brokers);
            // In force as soon as that is said.
            const auto got = asking->call(find_words(), patience);
            INFO(got.json());
            CHECK(one_word(got.front(), moved_rows) == (moved ? "new" : "old"));
            CHECK(all.goes_on());
        }
    }
    INFO(heard.wrong);
    CHECK(heard.wrong.empty());
    CHECK(heard.seen_old > 0);
    CHECK(heard.seen_new > 0);

    long long inserts = 0;
    long long raises = 0;
    for (const auto& each : moved_things()) {
        INFO(each.object);
        const bool old = each.n == 0;
        const auto right = asking->call(
            client::count(each.object, {{old ? "a" : "b", std::string{inserted}}}), patience);
        const auto wrong = asking->call(
            client::count(each.object, {{old ? "b" : "a", std::string{inserted}}}), patience);
        INFO(right.json() << wrong.json());
        REQUIRE(right.ok());
        CHECK(wrong.front().total() == 0U);
        CHECK(right.front().total() > 0U);
        inserts += static_cast<long long>(*right.front().total());
        const auto rows =
            asking->call(client::find(each.object, {{old ? "b" : "a", "wrong"}}), patience);
        REQUIRE(rows.front().size() == moved_rows);
        for (std::size_t i = 0; i < moved_rows; ++i) {
            CHECK(rows.front()[i].integer(old ? "m" : "n") == -1000);
            raises += rows.front()[i].integer(old ? "n" : "m").value_or(0);
        }
    }
    CHECK(inserts == heard.inserted);
    CHECK(raises == heard.raised);
    CHECK(running.sum(&observe::broker_counters::quarantined) == 0);
}

} // namespace beds::test
