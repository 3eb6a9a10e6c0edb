// Resident memory of bedsd with seven brokers: idle (goal 30 MB or less), and while 200,000
// messages of 4 KiB wait for it and its database is slow (5 ms a call; goal 150 MB or less),
// against a program that holds as many connections and unacknowledged messages by the bare C
// libraries. Replies and effects are compared.
#include "common/fixture.hpp"
#include "common/rabbit.hpp"
#include "common/report.hpp"

#include <mysql.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace beds::bench;
using namespace std::chrono_literals;

namespace {

constexpr unsigned read_brokers = 4;
constexpr unsigned write_brokers = 2;
constexpr unsigned brokers = read_brokers + write_brokers + 1; // and one bulk
constexpr int prefetch = 256;
constexpr std::size_t message_bytes = 4096;

class child {
public:
    explicit child(const std::vector<std::string>& arguments) {
        std::vector<char*> argv;
        for (const auto& one : arguments) {
            argv.push_back(const_cast<char*>(one.c_str()));
        }
        argv.push_back(nullptr);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ::execv(argv[0], argv.data());
            ::_exit(127);
        }
    }
    ~child() { end(SIGKILL); }
    child(const child&) = delete;
    child& operator=(const child&) = delete;

    void end(int signal) {
        if (pid_ > 0) {
            ::kill(pid_, signal);
            ::waitpid(pid_, nullptr, 0);
            pid_ = -1;
        }
    }
    [[nodiscard]] bool ended() const { return ::waitpid(pid_, nullptr, WNOHANG) != 0; }
    /// `VmRSS`, `VmHWM`: megabytes.
    [[nodiscard]] double megabytes(const std::string& what) const {
        std::ifstream status{"/proc/" + std::to_string(pid_) + "/status"};
        for (std::string line; std::getline(status, line);) {
            if (line.starts_with(what + ":")) {
                return std::strtod(line.c_str() + what.size() + 1, nullptr) / 1024;
            }
        }
        throw std::runtime_error("a program ended early");
    }

private:
    pid_t pid_ = -1;
};

class folder {
public:
    folder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "beds-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) {
            throw std::runtime_error("mkdtemp");
        }
        root_ = pattern;
    }
    ~folder() { std::filesystem::remove_all(root_); }
    folder(const folder&) = delete;
    folder& operator=(const folder&) = delete;
    std::string write(const std::string& name, const std::string& text) const {
        std::filesystem::create_directories((root_ / name).parent_path());
        std::ofstream{root_ / name} << text;
        return root_ / name;
    }

private:
    std::filesystem::path root_;
};

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}

/// The floor: `argv` tells the queue to hold messages of, or nothing. Never returns.
int hold(const std::string& queue) {
    const auto where = rabbitmq_from_environment();
    std::vector<raw_connection> open;
    std::vector<std::thread> readers;
    std::vector<MYSQL*> sessions;
    for (unsigned i = 0; i < brokers; ++i) {
        auto* session = mysql_init(nullptr);
        if (mysql_real_connect(session, environment("MEMORY_HOST").c_str(),
                               environment("MEMORY_USER").c_str(),
                               environment("MEMORY_PASSWORD").c_str(), nullptr,
                               static_cast<unsigned>(std::stoul(environment("MEMORY_PORT"))),
                               nullptr, 0) == nullptr) {
            return 1;
        }
        sessions.push_back(session);
        open.push_back(open_raw(where)); // to consume, and one to publish
        auto* in = open.back().get();
        open.push_back(open_raw(where));
        if (queue.empty() || i >= write_brokers) {
            continue;
        }
        readers.emplace_back([in, &queue] {
            amqp_basic_qos(in, 1, 0, prefetch, 0);
            amqp_basic_consume(in, 1, bytes(queue), amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
            std::vector<amqp_envelope_t> held(prefetch);
            for (auto& one : held) {
                amqp_consume_message(in, &one, nullptr, 0);
            }
            std::this_thread::sleep_for(1h);
        });
    }
    std::this_thread::sleep_for(1h);
    return 0;
}

std::string configuration(const rabbitmq_endpoint& rabbitmq, const mariadb_endpoint& mariadb,
                          const std::string& tag) {
    return "[broker_services.app_server]\nhost = \"" + rabbitmq.host +
           "\"\nport = " + std::to_string(rabbitmq.port) + "\nvhost = \"" + rabbitmq.vhost +
           "\"\nuser = \"" + rabbitmq.user + "\"\npass_file = \"rabbitmq\"\nqueue_tag = \"" + tag +
           "\"\nprefetch = " + std::to_string(prefetch) +
           "\nmax_queue_length = 1000000\nwrite_queues = \"classic\"\n"
           "[broker_services.app_server.instances]\nrel = { read = " +
           std::to_string(read_brokers) + ", write = " + std::to_string(write_brokers) +
           ", bulk = 1 }\n[rel_services.rel]\nhost = \"" + mariadb.host +
           "\"\nport = " + std::to_string(mariadb.port) + "\nuser = \"" + mariadb.user +
           "\"\npass_file = \"mariadb\"\ndatabase = \"" + mariadb.database +
           "\"\n[templates]\ndirectory = \"templates\"\n[log]\nlevel = \"warning\"\n";
}

constexpr const char* slow_template = R"toml(
[template]
name = "slow"
store = "rel"
object = "bench_users"
key = ["id"]
[fields]
id      = { type = "int64", required = true }
balance = { type = "int64" }
[limits]
deadline = "10m"
[calls.note]
procedure = "bench_slow"
class     = "write"
args      = [["id", "int64"], ["note", "string"]]
)toml";

std::uint64_t waiting(amqp_connection_state_t on, const std::string& queue) {
    const auto* told = amqp_queue_declare(on, 1, bytes(queue), 1, 0, 0, 0, amqp_empty_table);
    if (told == nullptr) {
        throw std::runtime_error("no queue " + queue);
    }
    return told->message_count;
}

} // namespace

int main(int argc, char** argv) try {
    if (argc == 3 && std::string_view{argv[1]} == "--hold") {
        return hold(argv[2]);
    }
    const auto options = parse_options(argc, argv, "memory: resident memory of bedsd");
    const auto where = rabbitmq_from_environment();
    const auto messages = static_cast<std::uint64_t>(200'000 * options.scale);
    bench_node node{
        {1,
         0,
         {"CREATE PROCEDURE bench_slow(IN p_id BIGINT, IN p_note LONGTEXT) BEGIN DO SLEEP(0.005); "
          "UPDATE bench_users SET balance = balance + 1 WHERE id = p_id; END"},
         {}}};
    const auto& mariadb = node.mariadb();
    ::setenv("MEMORY_HOST", mariadb.host.c_str(), 1);
    ::setenv("MEMORY_PORT", std::to_string(mariadb.port).c_str(), 1);
    ::setenv("MEMORY_USER", mariadb.user.c_str(), 1);
    ::setenv("MEMORY_PASSWORD", mariadb.password.c_str(), 1);

    const folder files;
    const auto tag = "memory_" + std::to_string(::getpid()) + "_";
    files.write("rabbitmq", where.password);
    files.write("mariadb", mariadb.password);
    files.write("templates/slow.toml", slow_template);
    const auto config = files.write("beds.toml", configuration(where, mariadb, tag));
    const std::string self = std::filesystem::read_symlink("/proc/self/exe");
    std::filesystem::permissions(files.write("rabbitmq", where.password),
                                 std::filesystem::perms::owner_read);
    std::filesystem::permissions(files.write("mariadb", mariadb.password),
                                 std::filesystem::perms::owner_read);

    const comparison idle_goal{
        "memory", "MB",          30, {{"brokers", brokers}, {"state", "idle"}}, better::lower,
        {},       goal_of::value};
    const comparison backlog_goal{"memory_backlog",
                                  "MB",
                                  150,
                                  {{"brokers", brokers},
                                   {"messages", messages},
                                   {"bytes", message_bytes},
                                   {"prefetch", prefetch},
                                   {"call", "5 ms"}},
                                  better::lower,
                                  {},
                                  goal_of::value};
    print_settings(idle_goal);
    print_settings(backlog_goal);

    const auto control = open_raw(where);
    auto* on = control.get();
    const auto publishing = open_raw(where);
    auto* out = publishing.get();
    const auto answers = open_raw(where);
    auto* in = answers.get();
    const auto* declared =
        amqp_queue_declare(in, 1, amqp_empty_bytes, 0, 0, 1, 1, amqp_empty_table);
    check(in, "queue.declare");
    const std::string replies{view(declared->queue)};
    amqp_basic_consume(in, 1, bytes(replies), amqp_empty_bytes, 0, 1, 0, amqp_empty_table);

    std::string body =
        R"({"v":1,"template":"slow","op":"call","name":"note","args":{"id":1,"note":")";
    body.append(message_bytes - body.size() - 4, 'x').append("\"}}");
    const auto publish = [&](const std::string& exchange, const std::string& key,
                             std::uint64_t count) {
        const auto run =
            static_cast<long long>(std::chrono::system_clock::now().time_since_epoch().count());
        for (std::uint64_t i = 0; i < count;) {
            const cork corked{out};
            for (const auto stop = std::min(count, i + 64); i < stop; ++i) {
                char id[40];
                const auto size = std::snprintf(id, sizeof id, "%llx-%llu", run,
                                                static_cast<unsigned long long>(i));
                amqp_basic_properties_t properties{};
                properties._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_REPLY_TO_FLAG |
                                    AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG;
                properties.content_type = bytes("application/json");
                properties.reply_to = bytes(replies);
                properties.message_id = bytes({id, static_cast<std::size_t>(size)});
                properties.delivery_mode = 2;
                if (amqp_basic_publish(out, 1, bytes(exchange), bytes(key), 0, 0, &properties,
                                       bytes(body)) != AMQP_STATUS_OK) {
                    throw std::runtime_error("publish failed");
                }
            }
        }
    };
    std::uint64_t good = 0;
    std::string wrong;
    const auto take_replies = [&](std::chrono::milliseconds longest) {
        for (;;) {
            amqp_envelope_t got;
            timeval wait{longest.count() / 1000, longest.count() % 1000 * 1000};
            amqp_maybe_release_buffers(in);
            if (amqp_consume_message(in, &got, &wait, 0).reply_type != AMQP_RESPONSE_NORMAL) {
                return;
            }
            const auto answer = view(got.message.body);
            if (answer.find(R"("status":"ok","effect":"applied")") != std::string_view::npos) {
                ++good;
            } else if (wrong.empty()) {
                wrong = answer.substr(0, 300);
            }
            amqp_destroy_envelope(&got);
        }
    };

    std::vector<round> idle;
    std::vector<round> backlog;
    const auto queue = tag + "rel.write";
    const auto floor_queue = tag + "floor";
    std::int64_t sent = 0;
    std::int64_t left = 0;
    const auto rounds = std::min(options.rounds, 2U); // what memory is taken differs little
    for (unsigned number = 0; number < rounds; ++number) {
        amqp_queue_declare(on, 1, bytes(floor_queue), 0, 0, 0, 0, amqp_empty_table);
        check(on, "queue.declare");
        publish("", floor_queue, 2 * write_brokers * prefetch);
        round without;
        round with;
        {
            const child holding{{self, "--hold", ""}};
            std::this_thread::sleep_for(2s);
            without.floor = holding.megabytes("VmRSS");
        }
        {
            const child holding{{self, "--hold", floor_queue}};
            std::this_thread::sleep_for(3s);
            with.floor = holding.megabytes("VmHWM");
        }
        amqp_queue_delete(on, 1, bytes(floor_queue), 0, 0);

        child bedsd{{BEDS_BENCH_BEDSD, "--config", config}};
        publish(tag + "beds.events", "slow.write", 0);
        for (int tries = 0; good == 0 || tries == 0; ++tries) { // it is ready when it answers
            std::this_thread::sleep_for(500ms);
            if (tries > 120 || bedsd.ended()) {
                throw std::runtime_error("bedsd does not answer");
            }
            // Its brokers consume when everything is declared and bound: what is published before
            // may go nowhere.
            const auto probing = open_raw(where); // the queue may not be there: a channel error
            const auto* const there =
                amqp_queue_declare(probing.get(), 1, bytes(queue), 1, 0, 0, 0, amqp_empty_table);
            if (there == nullptr || there->consumer_count == 0) {
                continue;
            }
            if (sent == static_cast<std::int64_t>(good) + left) {
                publish(tag + "beds.events", "slow.write", 1);
                ++sent;
            }
            take_replies(2000ms);
        }
        std::this_thread::sleep_for(2s);
        without.beds = bedsd.megabytes("VmRSS");
        publish(tag + "beds.events", "slow.write", messages);
        sent += static_cast<std::int64_t>(messages);
        const auto until = std::chrono::steady_clock::now() + (options.judge ? 20s : 5s);
        while (std::chrono::steady_clock::now() < until) {
            take_replies(500ms);
        }
        with.beds = bedsd.megabytes("VmHWM");
        const auto waits = waiting(on, queue);
        std::printf(
            "  round %u: idle %.1f (floor %.1f) MB; with %llu waiting %.1f (%.1f) MB at most\n",
            number + 1, without.beds, without.floor, static_cast<unsigned long long>(waits),
            with.beds, with.floor);
        std::fflush(stdout);
        if (waits < messages / 2) {
            wrong += "; the backlog is gone: it was measured without";
        }
        bedsd.end(SIGTERM);
        take_replies(2000ms);
        left += static_cast<std::int64_t>(waiting(on, queue));
        amqp_queue_purge(on, 1, bytes(queue));
        idle.push_back(without);
        backlog.push_back(with);
    }
    const auto applied = node.query("SELECT SUM(balance) - 100 * COUNT(*) FROM bench_users");
    std::printf("  sent %lld, answered %llu, left %lld, applied %lld\n",
                static_cast<long long>(sent), static_cast<unsigned long long>(good),
                static_cast<long long>(left), static_cast<long long>(applied));
    if (applied != static_cast<std::int64_t>(good) ||
        sent != static_cast<std::int64_t>(good) + left) {
        wrong += "; effects, replies and what is left differ";
    }
    const auto first = finish(backlog_goal, options, backlog, wrong);
    const auto second = finish(idle_goal, options, idle, wrong);
    return first == 1 || second == 1 ? 1 : std::max(first, second);
} catch (const std::exception& failed) {
    std::fprintf(stderr, "memory: %s\n", failed.what());
    return 1;
}
