// The measuring program of bench/peer/run, which says what it measures.
#include "common/client_load.hpp"
#include "common/fixture.hpp"
#include "common/report.hpp"
#include "common/requests.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fcntl.h>
#include <poll.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace beds::bench;

namespace {

std::int64_t row_of(std::uint64_t operation) {
    return spread_row(operation, bench_rows);
}

/// A program of the peers; ended with its owner.
class program {
public:
    program(const char* interpreter, const std::string& file) {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0 || (pid_ = ::fork()) < 0) {
            throw std::runtime_error("cannot start " + file);
        }
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ::dup2(ends[1], STDOUT_FILENO);
            ::execlp(interpreter, interpreter, file.c_str(), nullptr);
            ::_exit(127);
        }
        ::close(ends[1]);
        out_ = ::fdopen(ends[0], "r");
        name_ = file;
    }
    ~program() {
        std::fclose(out_);
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    program(const program&) = delete;
    program& operator=(const program&) = delete;

    std::string line(std::chrono::seconds longest) {
        pollfd ready{::fileno(out_), POLLIN, 0};
        const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(longest);
        std::array<char, 2000> text{};
        if (::poll(&ready, 1, static_cast<int>(wait.count())) != 1 ||
            std::fgets(text.data(), text.size(), out_) == nullptr) {
            throw std::runtime_error(name_ + " said nothing");
        }
        std::string got{text.data()};
        got.erase(got.find_last_not_of("\r\n") + 1);
        return got;
    }

private:
    pid_t pid_ = -1;
    FILE* out_ = nullptr;
    std::string name_;
};

struct peer {
    std::string name; ///< of the bench line
    const char* interpreter;
    std::string service;
    std::string client;
};

measurement calls(const peer& by) {
    program client{by.interpreter, by.client};
    const auto said = client.line(std::chrono::seconds{120});
    measurement got;
    char first[2000] = "";
    unsigned long long wrong = 0;
    if (std::sscanf(said.c_str(), "%lf %llu %1999[^\n]", &got.operations_per_second, &wrong,
                    first) < 2) {
        throw std::runtime_error(by.client + " said: " + said);
    }
    got.wrong = wrong;
    got.first_wrong = first;
    return got;
}

void set(const char* name, const std::string& value) {
    ::setenv(name, value.c_str(), 1);
}

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}

} // namespace

int main(int argc, char** argv) try {
    const auto options =
        parse_options(argc, argv, "peer: BEDS beside Moleculer and plain Python; see bench/run");
    const auto where = rabbitmq_from_environment();
    const std::uint64_t window = options.window != 0 ? options.window : 256;
    const auto peer_calls = static_cast<std::uint64_t>(20'000 * options.scale);
    const auto messages = static_cast<std::uint64_t>(60'000 * options.scale);
    const auto client_calls = static_cast<std::uint64_t>(200'000 * options.scale);
    bench_node node{{options.brokers, 0}};

    const auto sources = environment("PEER_SOURCES");
    std::vector<peer> peers;
    if (!environment("PEER_NODE_MODULES").empty()) {
        set("NODE_PATH", environment("PEER_NODE_MODULES"));
        peers.push_back(
            {"peer", "node", sources + "/moleculer_service.js", sources + "/moleculer_client.js"});
    }
    peers.push_back({"peer_python", "/usr/bin/python3", sources + "/python_service.py",
                     sources + "/python_client.py"});
    set("PEER_NAMESPACE", node.tag());
    set("PEER_DB_HOST", node.mariadb().host);
    set("PEER_DB_PORT", std::to_string(node.mariadb().port));
    set("PEER_DB_USER", node.mariadb().user);
    set("PEER_DB_PASSWORD", node.mariadb().password);
    set("PEER_DB_NAME", node.mariadb().database);
    set("PEER_CALLS", std::to_string(peer_calls));
    set("PEER_WINDOW", std::to_string(window));
    set("PEER_ROWS", std::to_string(bench_rows));

    const auto messages_of_beds = [&] {
        load asked;
        asked.messages = messages;
        asked.window = window;
        asked.exchange = node.exchange();
        asked.routing_key = "users.read";
        asked.make = single_requests(append_fetch, row_of);
        asked.verify = [](std::uint64_t i, std::string_view got) {
            return got.find(expected_row(row_of(i))) != std::string_view::npos;
        };
        return run_load(where, asked);
    };
    const auto client_of_beds = [&] {
        client_load asked;
        asked.calls = client_calls;
        asked.window = window;
        asked.make = [](std::uint64_t i) { return beds::client::fetch("users", row_of(i)); };
        asked.verify = [](std::uint64_t i, const beds::client::reply& got) {
            const auto id = row_of(i);
            const auto answer = got.front();
            return got.size() == 1 && answer.size() == 1 && answer[0].integer("id") == id &&
                   answer[0].text("email") == "u" + std::to_string(id) + "@example.org" &&
                   answer[0].integer("balance") == 100;
        };
        return run_client_load(where, node, asked);
    };

    std::printf("peer: window=%llu calls=%llu messages=%llu client_calls=%llu brokers=%u\n",
                static_cast<unsigned long long>(window),
                static_cast<unsigned long long>(peer_calls),
                static_cast<unsigned long long>(messages),
                static_cast<unsigned long long>(client_calls), options.brokers);
    std::vector<std::unique_ptr<program>> services;
    for (const auto& one : peers) {
        services.push_back(std::make_unique<program>(one.interpreter, one.service));
        if (const auto said = services.back()->line(std::chrono::seconds{30}); said != "ready") {
            throw std::runtime_error(one.service + " said: " + said);
        }
    }
    std::vector<std::vector<round>> single(peers.size());
    std::vector<std::vector<round>> batched(peers.size());
    std::string wrong;
    const auto look = [&](const std::string& whose, const measurement& got) {
        if (got.wrong != 0) {
            wrong += whose + ": " + std::to_string(got.wrong) +
                     " answers, the first: " + got.first_wrong + "; ";
        }
        return got.operations_per_second;
    };
    for (unsigned number = 0; number < options.rounds; ++number) {
        const auto messages_rate = look("beds", messages_of_beds());
        const auto client_rate = look("beds client", client_of_beds());
        std::printf("  round %u: beds %.0f, beds client %.0f", number + 1, messages_rate,
                    client_rate);
        for (std::size_t i = 0; i < peers.size(); ++i) {
            const auto rate = look(peers[i].name, calls(peers[i]));
            std::printf(", %s %.0f", peers[i].name == "peer" ? "moleculer" : "python", rate);
            single[i].push_back({rate, messages_rate});
            batched[i].push_back({rate, client_rate});
        }
        std::printf("\n");
        std::fflush(stdout);
    }
    int code = 0;
    for (std::size_t i = peers.size(); i-- > 0;) { // Moleculer, the nearest peer, last
        const std::vector<setting> settings{
            {"window", window},
            {"calls", peer_calls},
            {"messages", messages},
            {"client_calls", client_calls},
            {"brokers", options.brokers},
            {"peer", peers[i].name == "peer" ? "moleculer 0.14.36" : "aio-pika, aiomysql"}};
        for (const auto& [name, goal, rounds] :
             {std::tuple{peers[i].name + "_client", 12.0, &batched[i]},
              std::tuple{peers[i].name, 3.0, &single[i]}}) {
            const auto one = finish({name, "fetches/s", goal, settings}, options, *rounds, wrong);
            code = code == 1 || one == 1 ? 1 : std::max(code, one);
        }
    }
    return code;
} catch (const std::exception& failed) {
    std::fprintf(stderr, "peer: %s\n", failed.what());
    return 1;
}
