#include "support/catch.hpp"
#include "support/servers.hpp"

#include <arpa/inet.h>
#include <filesystem>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace beds::test;

namespace {

bool accepts(endpoint const& where) {
    auto const socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(where.port);
    ::inet_pton(AF_INET, where.host.c_str(), &address.sin_addr);
    auto const result =
        ::connect(socket, reinterpret_cast<sockaddr const*>(&address), sizeof address);
    ::close(socket);
    return result == 0;
}

} // namespace

TEST_CASE("a URI is taken apart and percent-decoded") {
    auto const full = parse_uri("amqp://us%40er:p%2Fw@127.0.0.1:5673/%2F?heartbeat=10&x");
    CHECK(full.scheme == "amqp");
    CHECK(full.user == "us@er");
    CHECK(full.password == "p/w");
    CHECK(full.host == "127.0.0.1");
    CHECK(full.port == 5673);
    CHECK(full.path == "/");
    CHECK(full.query.at("heartbeat") == "10");
    CHECK(full.query.at("x").empty());
    CHECK(parse_uri("mongodb://localhost/beds").port == 27017);
    CHECK(parse_uri("mongodb://localhost/beds").path == "beds");
    CHECK_THROWS_AS(parse_uri("localhost:1"), std::invalid_argument);
    CHECK_THROWS_AS(parse_uri("amqp://host:port/"), std::invalid_argument);
}

TEST_CASE("unique names differ") {
    CHECK(unique_name() != unique_name());
}

TEST_CASE("private servers are stopped, killed and started again on the same port, and end with "
          "their owner") {
    std::filesystem::path directory;
    endpoint where;
    {
        private_servers const servers{server::mariadb};
        directory = servers.directory();
        where = servers.mariadb();
        CHECK(accepts(where));
        CHECK(servers.mariadb_root("SELECT 6 * 7") == "42\n");
        servers.stop(server::mariadb);
        CHECK_FALSE(accepts(where));
        CHECK_THROWS_AS(servers.kill(server::mariadb), std::runtime_error);
        servers.start(server::mariadb);
        CHECK(accepts(where));
        servers.kill(server::mariadb);
        CHECK_FALSE(accepts(where));
        servers.restart(server::mariadb);
        servers.pause(server::mariadb);
        CHECK(accepts(where)); // by the kernel: the listening socket is still there
        servers.resume(server::mariadb);
        CHECK(servers.mariadb_root("SELECT 1") == "1\n");
    }
    CHECK_FALSE(accepts(where));
    CHECK_FALSE(std::filesystem::exists(directory));
}
