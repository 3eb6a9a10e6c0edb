#include "client/company.hpp"
#include "support/catch.hpp"

using namespace beds;
using namespace std::chrono_literals;
using client::company;
using client::known_templates;
using client::sending;
using core::op_class;

namespace {

constexpr std::string_view catalog =
    R"({"v":1,"event":"e","status":"ok","effect":"none","templates":[
{"name":"countries","group":"g1","operations":[{"op":"fetch","class":"read"}]},
{"name":"accounts","group":"g1","operations":[
  {"op":"call","class":"write","name":"transfer"},{"op":"call","class":"read","name":"report"},
  {"op":"call","class":"bulk","name":"rebuild"}]},
{"name":"subdivisions","group":"g2","operations":[{"op":"fetch","class":"read"}]}]})";

known_templates learned() {
    known_templates made;
    made.learn(client::reply{std::string{catalog}, {}});
    return made;
}

sending make(std::uint64_t number, client::request what,
             core::deadline until = core::deadline::never()) {
    sending made;
    made.number = number;
    made.what = std::make_shared<const client::request>(std::move(what));
    made.until = until;
    return made;
}

using numbers = std::vector<std::uint64_t>;

numbers of(std::span<const sending> parts) {
    numbers made;
    for (const auto& one : parts) {
        made.push_back(one.number);
    }
    return made;
}

std::vector<numbers> gathered(company& sorts, std::vector<sending>& from,
                              const known_templates& known, std::vector<sending>& unknown) {
    std::vector<numbers> made;
    for (const auto& one : sorts.gather(from, known, unknown)) {
        made.push_back(of(one.parts));
    }
    return made;
}

} // namespace

TEST_CASE("single operations of one group and class share a message, in the order they came") {
    std::vector<sending> from;
    from.push_back(make(1, client::fetch("countries", "MX")));
    from.push_back(make(2, client::fetch("subdivisions", "MX-JAL")));
    from.push_back(make(3, client::update("accounts", 1, {{"status", "open"}})));
    from.push_back(make(4, client::find("accounts")));
    from.push_back(make(5, client::call("accounts", "report")));
    from.push_back(make(6, client::call("accounts", "transfer")));
    company sorts;
    std::vector<sending> unknown;
    CHECK(gathered(sorts, from, learned(), unknown) ==
          std::vector<numbers>{{1, 4, 5}, {2}, {3, 6}});
    CHECK(unknown.empty());
    CHECK(from.empty());
}

TEST_CASE("what came as an envelope, long jobs, describe and what was better alone share nothing") {
    std::vector<sending> from;
    from.push_back(make(1, client::fetch("countries", "MX")));
    from.push_back(make(2, client::request{std::vector{client::fetch("countries", "MX")}}));
    from.push_back(make(3, client::call("accounts", "rebuild")));
    from.push_back(make(4, client::call("accounts", "rebuild")));
    from.push_back(make(5, client::describe()));
    from.push_back(make(6, client::fetch("countries", "MX")));
    from.back().alone = true;
    from.push_back(make(7, client::fetch("countries", "MX")));
    company sorts;
    std::vector<sending> unknown;
    CHECK(gathered(sorts, from, learned(), unknown) ==
          std::vector<numbers>{{1, 7}, {2}, {3}, {4}, {5}, {6}});
}

TEST_CASE("before the catalog is known only one template's operations share, and calls wait") {
    std::vector<sending> from;
    from.push_back(make(1, client::fetch("countries", "MX")));
    from.push_back(make(2, client::fetch("accounts", 1)));
    from.push_back(make(3, client::call("accounts", "transfer")));
    from.push_back(make(4, client::fetch("countries", "CA")));
    company sorts;
    std::vector<sending> unknown;
    known_templates known;
    CHECK(gathered(sorts, from, known, unknown) == std::vector<numbers>{{1, 4}, {2}});
    CHECK(of(unknown) == numbers{3});

    known.do_without(); // nobody tells: a call is a write
    from.swap(unknown);
    CHECK(gathered(sorts, from, known, unknown) == std::vector<numbers>{{3}});
    CHECK(unknown.empty());
}

TEST_CASE("a template that the catalog does not know is a group of its own, whatever its name") {
    std::vector<sending> from;
    from.push_back(make(1, client::fetch("g1", 1)));
    from.push_back(make(2, client::fetch("g2", 1)));
    from.push_back(make(3, client::fetch("countries", "MX")));
    from.push_back(make(4, client::call("nowhere", "nothing")));
    company sorts;
    std::vector<sending> unknown;
    CHECK(gathered(sorts, from, learned(), unknown).size() == 4);
}

TEST_CASE("what has an order or a cause of its own, which its headers tell, goes alone") {
    std::vector<sending> from;
    for (std::uint64_t i = 1; i <= 4; ++i) {
        client::request what{client::fetch("countries", "MX")};
        what.order = i == 2 ? "MX" : "";
        what.event = i == 3 ? "shop.4711" : "";
        from.push_back(make(i, std::move(what)));
    }
    company sorts;
    std::vector<sending> unknown;
    CHECK(gathered(sorts, from, learned(), unknown) == std::vector<numbers>{{1, 4}, {2}, {3}});
}

TEST_CASE("a request whose deadline passed is not sent") {
    std::vector<sending> from;
    from.push_back(make(1, client::fetch("countries", "MX"), core::deadline::after(-1ms)));
    from.push_back(make(2, client::fetch("countries", "MX"), core::deadline::after(20s)));
    company sorts;
    std::vector<sending> unknown;
    CHECK(gathered(sorts, from, learned(), unknown) == std::vector<numbers>{{2}});
}

TEST_CASE("what was not sent when something failed is given back, once") {
    std::vector<sending> from;
    from.push_back(make(1, client::fetch("countries", "MX")));
    from.push_back(make(2, client::fetch("countries", "CA")));
    from.push_back(make(3, client::fetch("subdivisions", "MX-JAL")));
    company sorts;
    std::vector<sending> unknown;
    const auto known = learned();
    const auto parcels = sorts.gather(from, known, unknown);
    REQUIRE(parcels.size() == 2);
    const auto sent = std::move(parcels[0].parts[0]);
    CHECK(sent.number == 1);
    std::vector<sending> back;
    sorts.give_back(back);
    CHECK(of(back) == numbers{2, 3});
    back.clear();
    sorts.give_back(back);
    CHECK(back.empty());
}

TEST_CASE("a reply that is no catalog changes nothing; a forgotten one is asked again") {
    auto known = learned();
    known.learn(client::reply{R"({"v":1,"event":"e","status":"error","code":"OVERLOADED",)"
                              R"("effect":"none","retryable":true,"detail":"later"})",
                              {}});
    known.learn(
        client::reply{R"({"v":1,"event":"e","status":"ok","effect":"none","rows":[]})", {}});
    CHECK(known.learned());
    CHECK(known.group_of("countries") == known.group_of("accounts"));
    CHECK(known.class_of(client::call("accounts", "rebuild")) == op_class::bulk);
    known.forget();
    CHECK_FALSE(known.learned());
    CHECK(known.group_of("countries") == client::template_group{false, "countries"});
    CHECK_FALSE(known.class_of(client::call("accounts", "rebuild")));
}
