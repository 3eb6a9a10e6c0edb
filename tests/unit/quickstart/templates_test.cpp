#include "support/catch.hpp"

#include <beds/templates/registry.hpp>

#include <algorithm>

using namespace beds;

TEST_CASE("the templates of the quickstart have no problems") {
    templates::load_settings settings;
    settings.directory = BEDS_QUICKSTART_TEMPLATES;
    settings.services = {"app_server"};
    settings.connections = {{"rel", templates::engine::rel}, {"rec", templates::engine::rec}};
    auto const loaded = templates::load(settings);
    for (auto const& problem : loaded.problems)
        FAIL_CHECK(to_string(problem));
    REQUIRE(loaded.templates);
    CHECK(loaded.templates->all().size() == 4);

    auto const* accounts = loaded.templates->find("accounts");
    REQUIRE(accounts != nullptr);
    CHECK(accounts->read_object() == "v_accounts");
    REQUIRE(accounts->find_call("transfer") != nullptr);
    CHECK(accounts->find_call("transfer")->errors.at("45001") == "INSUFFICIENT_FUNDS");

    // The point of a template: public names are not the DBA's.
    auto const* countries = loaded.templates->find("countries");
    REQUIRE(countries != nullptr);
    CHECK(std::none_of(countries->fields.begin(), countries->fields.end(), [](auto const& field) {
        return field.name == "a2" || field.name == "short_name";
    }));
    auto const* languages = loaded.templates->find("languages");
    REQUIRE(languages != nullptr);
    CHECK(languages->fields.at(2).column == "name_lng");
    auto const* subdivisions = loaded.templates->find("subdivisions");
    REQUIRE(subdivisions != nullptr);
    CHECK(subdivisions->connection == "rec");
}
