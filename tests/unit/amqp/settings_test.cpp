#include "support/catch.hpp"

#include <beds/amqp/settings.hpp>
#include <beds/core/error.hpp>

#include <string>

using namespace beds;
using namespace std::chrono_literals;
using amqp::parse_amqp_uri;

namespace {

std::string refusal(const std::string& uri) {
    try {
        parse_amqp_uri(uri);
    } catch (const core::error& failure) {
        CHECK(failure.code() == core::errc::invalid_configuration);
        return failure.message();
    }
    return "accepted";
}

} // namespace

TEST_CASE("the defaults are usable") {
    const amqp::connection_settings settings;
    CHECK(amqp::validate(settings).empty());
    CHECK(settings.effective_port() == 5672);
    CHECK(settings.tls.verification == amqp::tls_verification::full);
    auto tls = settings;
    tls.tls.mode = amqp::tls_mode::on;
    CHECK(tls.effective_port() == 5671);
}

TEST_CASE("every problem is reported with its key") {
    amqp::connection_settings settings;
    settings.host = "";
    settings.user = "";
    settings.heartbeat = 0s;
    settings.connect_timeout = 0ms;
    settings.write_timeout = 0ms;
    settings.frame_max = 100;
    settings.vhost = std::string(256, 'v');
    settings.tls.key_file = "key.pem";
    std::string keys;
    for (const auto& problem : amqp::validate(settings)) {
        CHECK_FALSE(problem.expected.empty());
        keys += problem.key + " ";
    }
    CHECK(keys ==
          "host vhost user heartbeat connect_timeout write_timeout frame_max tls.cert_file ");

    settings = {};
    settings.tls.ca_file = "ca.pem";
    REQUIRE(amqp::validate(settings).size() == 1);
    CHECK(amqp::validate(settings)[0].key == "tls.mode");

    settings = {};
    settings.password = core::secret{std::string{"a\0b", 3}};
    REQUIRE(amqp::validate(settings).size() == 1);
    CHECK(amqp::validate(settings)[0].key == "password");
}

TEST_CASE("URIs") {
    auto s = parse_amqp_uri("amqp://us%65r:p%40ss%3A%2f@rabbit.example:1234/my%2Fvhost");
    CHECK(s.user == "user");
    CHECK(s.password.reveal() == "p@ss:/");
    CHECK(s.host == "rabbit.example");
    CHECK(s.port == 1234);
    CHECK(s.vhost == "my/vhost");
    CHECK(s.tls.mode == amqp::tls_mode::off);

    s = parse_amqp_uri("amqp://");
    CHECK(s.host == "127.0.0.1");
    CHECK(s.effective_port() == 5672);
    CHECK(s.vhost == "/");
    CHECK(s.user == "guest");

    CHECK(parse_amqp_uri("amqp://host").vhost == "/");
    CHECK(parse_amqp_uri("amqp://host/").vhost.empty());
    CHECK(parse_amqp_uri("amqp://host/%2F").vhost == "/");
    CHECK(parse_amqp_uri("amqp://host/%2f?heartbeat=5").heartbeat == 5s);
    CHECK(parse_amqp_uri("amqp://user@host").password.reveal() == "guest");
    CHECK(parse_amqp_uri("amqp://user:@host").password.empty());
    CHECK(parse_amqp_uri("amqp://u:p@w@host").password.reveal() == "p@w");

    s = parse_amqp_uri("amqp://u:p@[::1]:5673/v");
    CHECK(s.host == "::1");
    CHECK(s.port == 5673);
    CHECK(parse_amqp_uri("amqp://[fe80::1]").host == "fe80::1");

    s = parse_amqp_uri("amqps://host?cacertfile=/etc/ca%20file.pem&certfile=c&keyfile=k"
                       "&connection_timeout=2500&frame_max=8192");
    CHECK(s.tls.mode == amqp::tls_mode::on);
    CHECK(s.effective_port() == 5671);
    CHECK(s.tls.verification == amqp::tls_verification::full);
    CHECK(s.tls.ca_file == "/etc/ca file.pem");
    CHECK(s.tls.cert_file == "c");
    CHECK(s.tls.key_file == "k");
    CHECK(s.connect_timeout == 2500ms);
    CHECK(s.frame_max == 8192);
}

TEST_CASE("bad URIs are refused without echoing the password") {
    for (const std::string uri :
         {"", "host", "http://host", "amqp:/host", "amqp://u:hunter2@host:port",
          "amqp://u:hunter2@host:0x10", "amqp://u:hunter2@host:65536", "amqp://u:hunter2%@host",
          "amqp://u:hunter2%4@host", "amqp://u:hunter2%zz@host", "amqp://host/a/b",
          "amqp://u:hunter2@[::1", "amqp://u:hunter2@[::1]x", "amqp://host?verify=no",
          "amqp://host?heartbeat=", "amqp://host?heartbeat=0", "amqp://host?heartbeat=1e3",
          "amqp://host?cacertfile=x"}) {
        const auto message = refusal(uri);
        INFO(uri);
        CHECK(message != "accepted");
        CHECK(message.find("hunter2") == std::string::npos);
    }
    CHECK(refusal("amqp://host?verify=no") ==
          "AMQP URI: unknown parameter 'verify' (known: heartbeat, connection_timeout, frame_max, "
          "cacertfile, certfile, keyfile)");
}
