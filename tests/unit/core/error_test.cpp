#include "support/catch.hpp"

#include <beds/core/error.hpp>

#include <set>
#include <string>
#include <system_error>
#include <vector>

using namespace beds::core;

TEST_CASE("an error tells who failed, whether the handle lives and where", "[error]") {
    const error plain{errc::invalid_template, "countries.toml:3: no key"};
    CHECK(plain.code() == errc::invalid_template);
    CHECK(plain.code().category().name() == std::string{"beds"});
    CHECK(plain.origin() == error_origin::beds);
    CHECK(plain.handle() == handle_state::usable);
    CHECK(plain.native_code() == 0);
    CHECK(plain.message() == "countries.toml:3: no key");
    CHECK(std::string{plain.what()} == "countries.toml:3: no key: invalid template");
    CHECK(std::string{plain.where().file}.find("error_test.cpp") != std::string::npos);
    CHECK(plain.where().line > 0);

    const error server{errc::outcome_unknown,
                       "commit was cut off",
                       {.origin = error_origin::mariadb,
                        .handle = handle_state::broken,
                        .native_code = 2013,
                        .server_message = "Lost connection"}};
    CHECK(server.origin() == error_origin::mariadb);
    CHECK(server.handle() == handle_state::broken);
    CHECK(server.native_code() == 2013);
    CHECK(server.server_message() == "Lost connection");
    CHECK(std::string{server.what()}.find("Lost") == std::string::npos);
}

TEST_CASE("every errc has words of its own", "[error]") {
    std::set<std::string> seen;
    constexpr int last = static_cast<int>(errc::limit_exceeded);
    for (int code = 1; code <= last; ++code) {
        const std::string text = make_error_code(static_cast<errc>(code)).message();
        CHECK(text.find("error " + std::to_string(code)) == std::string::npos);
        CHECK(seen.insert(text).second);
    }
    CHECK(seen.size() == 14);
    CHECK(beds_category().message(last + 1) == "error 15");
    const std::error_code made = errc::refused;
    CHECK(made == errc::refused);
    CHECK_FALSE(made == std::errc::connection_refused);
}

TEST_CASE("did you mean", "[error]") {
    const std::vector<std::string> known{"countries", "languages", "account", "id",   "accounts",
                                         "owner_id",  "created",   "Status",  "city", "n"};
    struct row {
        const char* given;
        const char* meant; ///< "": no suggestion
    };
    const row rows[] = {
        {"countrys", "countries"},   // two edits
        {"contries", "countries"},   // a letter missing
        {"coutnries", "countries"},  // neighbours swapped: one edit
        {"countriess", "countries"}, // one too many
        {"COUNTRIES", "countries"},  // upper case
        {"status", "Status"},
        {"accounts", "accounts"}, // the nearer of two
        {"acount", "account"},
        {"creatde", "created"},
        {"owner-id", "owner_id"},
        {"ic", "id"}, // short names: one edit
        {"ctiy", "city"},
        {"cxtx", ""},
        {"xy", ""},     // two edits of two letters
        {"x", ""},      // one letter says nothing
        {"countr", ""}, // three edits
        {"zebra", ""},
        {"", ""},
    };
    for (const auto& each : rows) {
        CAPTURE(each.given);
        const std::string wanted = *each.meant == '\0'
                                       ? std::string{}
                                       : "; did you mean '" + std::string{each.meant} + "'?";
        CHECK(did_you_mean(each.given, known) == wanted);
    }
    CHECK(did_you_mean(std::string(100'000, 'a'), known).empty());
    CHECK(did_you_mean("a", std::vector<std::string>{}).empty());
    const std::vector<std::string> large{std::string(100'000, 'a'), std::string(64, 'b')};
    CHECK(did_you_mean(std::string(63, 'b'), large) ==
          "; did you mean '" + std::string(64, 'b') + "'?");
}
