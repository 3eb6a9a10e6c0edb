#include "support/catch.hpp"

#include <beds/adapters/mongodb.hpp>
#include <beds/core/error.hpp>
#include <beds/testing/make.hpp>

#include <string>
#include <vector>

using namespace beds;

namespace {

config::rec_service_settings settings(std::string uri = "mongodb://127.0.0.1:1/db") {
    config::rec_service_settings made;
    made.uri = core::secret{std::move(uri)};
    made.database = "db";
    return made;
}

testing::template_maker maker() {
    testing::template_maker made{"t"};
    made.connection("rec", templates::engine::rec).field("id", "int64").key({"id"});
    return made;
}

std::string problems(const templates::template_def& target) {
    const auto engine = adapters::make_mongodb("rec", settings());
    std::string all;
    for (const auto& one : engine->check(target)) {
        all += one + "\n";
    }
    return all;
}

std::string refusal(const config::rec_service_settings& given) {
    try {
        adapters::make_mongodb("rec", given);
    } catch (const core::error& error) {
        CHECK(error.code() == core::errc::invalid_configuration);
        return error.message();
    }
    return "";
}

} // namespace

TEST_CASE("check: a template that fits") {
    CHECK(problems(maker().field("d", "decimal(34,4)").field("x", "document").build()).empty());
}

TEST_CASE("check: what MongoDB cannot do is refused with the reason") {
    CHECK(problems(maker().field("d", "decimal(38,2)").build()) ==
          "fields.d: MongoDB keeps at most 34 digits of a decimal\n");
    CHECK(problems(maker().field("d", "string", {.column = "$d"}).build()).find("must not begin") !=
          std::string::npos);
    CHECK(problems(maker().field("d", "string", {.column = "a.b"}).build()).find("contain '.'") !=
          std::string::npos);
    CHECK(problems(maker().field("d", "string", {.column = "_beds"}).build()).find("reserved") !=
          std::string::npos);
    CHECK(problems(maker().field("d", "string", {.column = "id"}).build())
              .find("stored under the name of 'id'") != std::string::npos);
    CHECK(problems(maker().field("d", "string", {.collation = "utf8mb4_general_ci"}).build())
              .find("collations are not available") != std::string::npos);
    CHECK(problems(maker().field("d", "int64", {.source = templates::generated::database}).build())
              .find("generates no values") != std::string::npos);
    CHECK(problems(maker().object("system.users").build()).find("not a name") != std::string::npos);
    auto procedures = maker().build();
    procedures.write.insert = "sp_insert";
    CHECK(problems(procedures) == "write: procedures are not available on MongoDB\n");
}

TEST_CASE("check: calls") {
    templates::call call;
    call.name = "sum";
    call.op_class = core::op_class::read;
    call.pipeline = R"([{"$match":{}}])";
    call.returns = {{"rows", core::row_layout{{{"n", *core::parse_field_type("int64")}}}}};
    CHECK(problems(maker().call(call).build()).empty());
    auto writing = call;
    writing.op_class = core::op_class::write;
    CHECK(problems(maker().call(writing).build()).find("class = \"read\"") != std::string::npos);
    auto merging = call;
    merging.pipeline = R"([{"$merge":"x"}])";
    CHECK(problems(maker().call(merging).build()).find("class = \"write\"") != std::string::npos);
    auto out = call;
    out.out = {{"n", *core::parse_field_type("int64")}};
    CHECK(problems(maker().call(out).build()).find("no 'out'") != std::string::npos);
    auto twice = call;
    twice.returns.push_back(twice.returns.front());
    CHECK(problems(maker().call(twice).build()).find("one result set") != std::string::npos);
    auto procedure = call;
    procedure.routine = "sp";
    CHECK(problems(maker().call(procedure).build()).find("procedures are not available") !=
          std::string::npos);
    auto broken = call;
    broken.pipeline = "[{";
    CHECK(problems(maker().call(broken).build()).find("not JSON") != std::string::npos);
}

TEST_CASE("settings: connection strings that are refused") {
    CHECK(refusal(settings()).empty());
    for (const char* option :
         {"tlsInsecure=true", "tlsAllowInvalidCertificates=true", "tlsAllowInvalidHostnames=true",
          "sslAllowInvalidCertificates=true"}) {
        const auto why =
            refusal(settings("mongodb://user:hidden@127.0.0.1/db?tls=true&" + std::string{option}));
        CAPTURE(option, why);
        CHECK(why.find("certificates are always verified") != std::string::npos);
        CHECK(why.find("hidden") == std::string::npos);
    }
    CHECK(refusal(settings("mongodb://127.0.0.1/db?w=0")).find("w=0") != std::string::npos);
    const auto nonsense = refusal(settings("http://user:hidden@x"));
    CHECK(nonsense.find("not a MongoDB connection string") != std::string::npos);
    CHECK(nonsense.find("hidden") == std::string::npos);
    auto unnamed = settings();
    unnamed.database.clear();
    CHECK(refusal(unnamed).find("database is required") != std::string::npos);
    CHECK(refusal(settings("mongodb://127.0.0.1/?tls=true&tlsCAFile=/nowhere/ca.pem"))
              .find("cannot read /nowhere/ca.pem") != std::string::npos);
}

TEST_CASE("settings: two adapters in one process, one after the other") {
    for (int i = 0; i < 2; ++i) {
        const auto engine = adapters::make_mongodb("rec", settings());
        CHECK(engine->engine_name() == "mongodb");
        CHECK(engine->connection_name() == "rec");
        CHECK_FALSE(engine->can().transactions);
        CHECK(engine->can().pipelines);
        CHECK_FALSE(engine->open_session({"one", nullptr, {}})->usable());
    }
}

TEST_CASE("settings: an address of IPv6 is one with brackets and without") {
    const auto said = [](const char* host) {
        config::rec_service_settings given;
        given.host = host;
        given.port = 1;
        given.database = "db";
        try {
            const auto engine = adapters::make_mongodb("rec", given);
            const auto session = engine->open_session({"one", nullptr, {}});
            session->connect(core::deadline::after(std::chrono::seconds{2}));
        } catch (const core::error& error) {
            return std::string{error.message()};
        }
        return std::string{"connected to nothing"};
    };
    CHECK(said("::1") == said("[::1]"));
    CHECK(said("[::1]").find("host and port") == std::string::npos);
}

TEST_CASE("settings: a server that is not there") {
    const auto engine = adapters::make_mongodb("rec", settings());
    const auto session = engine->open_session({"one", nullptr, {}});
    try {
        session->connect(core::deadline::after(std::chrono::seconds{2}));
        FAIL("connected to nothing");
    } catch (const core::error& error) {
        CHECK(error.code() == core::errc::unreachable);
        CHECK(error.origin() == core::error_origin::mongodb);
        CHECK(error.handle() == core::handle_state::broken);
    }
    CHECK_FALSE(session->usable());
}
