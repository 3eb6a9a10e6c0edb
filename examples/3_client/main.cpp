// A client over RabbitMQ: it knows a template's name and nothing of databases. Asks for the books
// that 4_node_in_host serves; start that first.
//
//   AMQP_URL=amqp://guest:guest@localhost ./book_client

#include <beds/client/amqp_client.hpp>
#include <beds/client/async.hpp>

#include <boost/asio/use_future.hpp>

#include <cstdlib>
#include <future>
#include <iostream>

using namespace beds;
using namespace std::chrono_literals;
using client::members;

int wrong = 0;

void show(std::string_view what, const client::reply& got, bool right) {
    std::cout << (right ? "right  " : "WRONG  ") << what << "\n       " << got.json() << '\n';
    wrong += right ? 0 : 1;
}

int main() {
    const char* url = std::getenv("AMQP_URL");
    client::amqp_client_settings settings;
    settings.amqp = amqp::parse_amqp_uri(url ? url : "amqp://guest:guest@localhost");
    settings.queue_tag = "example_";
    const auto beds = client::make_amqp_client(settings);
    if (!beds->wait_ready(core::deadline::after(10s))) {
        std::cerr << "RabbitMQ is not there\n";
        return 1;
    }

    // Wait for the answer: it is there within two seconds, or DEADLINE_EXCEEDED is.
    auto got = beds->call(client::fetch("books", 1), 2s);
    show("fetch", got, got.front().size() == 1 && got.front()[0].text("title") == "Dune");

    // Ask for several at once; Boost.Asio's completion tokens say how the answers come back.
    std::vector<std::future<client::reply>> answers;
    for (int id = 1; id <= 3; ++id) {
        answers.push_back(client::async_call(*beds, client::fetch("books", id),
                                             core::deadline::after(2s), boost::asio::use_future));
    }
    for (auto& answer : answers) {
        got = answer.get();
        show("one of three asked at once", got, got.front().size() == 1);
    }

    // One message, several operations, all or none.
    auto sell = client::update("books", 2, {});
    sell.inc = client::value::object({{"stock", -1}});
    got = beds->call({{sell, client::fetch("books", 2)}, core::envelope_mode::atomic}, 2s);
    show("sell one and look", got,
         got.ok() && got.front().effect() == core::effect::applied && got[1].size() == 1);

    got = beds->call(client::fetch("boks", 1), 2s);
    show("a misspelt template", got, got.front().code() == core::code::unknown_template);
    return wrong == 0 ? 0 : 1;
}
