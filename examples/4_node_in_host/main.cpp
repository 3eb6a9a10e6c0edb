// A BEDS node inside a program of your own: the program works with its data in process, everybody
// else reaches the same data through RabbitMQ (3_client does). Runs until standard input ends.
//
//   AMQP_URL=amqp://guest:guest@localhost ./book_host

#include <beds/adapters/memory.hpp>
#include <beds/amqp/settings.hpp>
#include <beds/client/local_client.hpp>
#include <beds/node/node.hpp>

#include <cstdlib>
#include <iostream>

using namespace beds;
using namespace std::chrono_literals;

constexpr std::string_view books = R"toml(
[template]
name       = "books"
store      = "rel"
connection = "mem"
object     = "books"
key        = ["id"]
[fields]
id    = { type = "int64", required = true }
title = { type = "string", max = 80, required = true }
stock = { type = "int32", default = 0 }
)toml";

int main() {
    const char* url = std::getenv("AMQP_URL");
    const auto rabbitmq = amqp::parse_amqp_uri(url ? url : "amqp://guest:guest@localhost");

    config::settings settings;            // what bedsd reads from beds.toml
    settings.templates.directory.clear(); // no files: the template is above
    auto& role = settings.broker_services["app_server"];
    role.host = rabbitmq.host;
    role.port = rabbitmq.effective_port();
    role.vhost = rabbitmq.vhost;
    role.user = rabbitmq.user;
    role.pass = rabbitmq.password;
    role.queue_tag = "example_";
    role.instances["mem"] = {.read = 2, .write = 1, .bulk = 0}; // threads that serve
    role.write_queues = config::queue_kind::classic; // gone with a restart, as the data is

    node::node node{settings};
    node.add_connection(adapters::make_memory("mem")); // or an engine: make_mariadb, make_mongodb
    node.add_template(books, "books.toml");
    for (const auto& step : node.start()) {
        std::cout << to_string(step) << '\n';
    }

    const auto local = client::make_local_client(node.registry(), node.adapters());
    const auto filled = local->call(client::insert(
        "books", {client::value::object({{"id", 1}, {"title", "Dune"}, {"stock", 7}}),
                  client::value::object({{"id", 2}, {"title", "Solaris"}, {"stock", 3}}),
                  client::value::object({{"id", 3}, {"title", "Ubik"}})}));
    std::cout << "filled: " << filled.json() << '\n';

    const bool ready = node.wait_ready(core::deadline::after(10s));
    std::cout << (ready ? "ready; end with Ctrl-D" : "RabbitMQ is not there") << std::endl;
    while (ready && std::cin.get() != std::char_traits<char>::eof()) {
    }

    for (const auto& broker : node.status().brokers) {
        std::cout << broker.broker << ": " << broker.operations << " operations\n";
    }
    // What was taken from the queues is finished and answered first.
    const bool drained = node.stop(core::deadline::after(5s));
    return filled.ok() && ready && drained ? 0 : 1;
}
