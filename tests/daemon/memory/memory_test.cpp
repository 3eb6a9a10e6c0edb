#include "daemon/bedsd/process.hpp"
#include "support/catch.hpp"
#include "support/running_node.hpp"

#include <sstream>
#include <thread>

using namespace beds;
using namespace daemon_test;
using namespace std::chrono_literals;

/// How much memory a node takes, whatever waits for it.
namespace {

constexpr std::size_t mib = 1024 * 1024;

constexpr std::string_view pages_template = R"([template]
name = "pages"
store = "rel"
object = "pages"
key = ["id"]
[fields]
id = { type = "int64", required = true }
book = { type = "int64" }
text = { type = "string", max = 100000 }
[[index]]
fields = ["book"]
[limits]
max_rows = 1000
deadline = "60s"
)";

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool is_measured = false; // they keep what is freed for a while
#else
constexpr bool is_measured = true;
#endif

/// A RabbitMQ of its own: half a gigabyte of replies is near its alarm, which others would meet.
test::private_servers& servers() {
    static test::private_servers made{test::server::rabbitmq, test::server::mariadb};
    return made;
}

class measured_daemon {
public:
    measured_daemon() : data_(servers().mariadb(), servers()) {
        data_.sql("CREATE TABLE pages (id BIGINT PRIMARY KEY, book BIGINT, text MEDIUMTEXT, "
                  "KEY (book)) ENGINE = InnoDB");
        const auto amqp = servers().amqp();
        const auto mariadb = servers().mariadb();
        files_.write("templates/pages.toml", pages_template);
        const auto config = files_.write(
            "beds.toml",
            "[broker_services.app_server]\nhost = " + in_quotes(amqp.host) +
                "\nport = " + std::to_string(amqp.port) + "\nvhost = " + in_quotes(amqp.path) +
                "\nuser = " + in_quotes(amqp.user) + "\npass = " + in_quotes(amqp.password) +
                "\nqueue_tag = " + in_quotes(tag_) +
                "\ninstances.rel = { read = 1, write = 1 }\n[rel_services.rel]\nhost = " +
                in_quotes(mariadb.host) + "\nport = " + std::to_string(mariadb.port) +
                "\nuser = " + in_quotes(mariadb.user) + "\npass = " + in_quotes(mariadb.password) +
                "\ndatabase = " + in_quotes(data_.name()) + "\n");
        bedsd_ = std::make_unique<process>(
            files_, std::vector<std::string>{BEDSD_PROGRAM, "--config", config.string()});
        const auto until = core::deadline::after(30s);
        while (!contains(log(), "rabbitmq app_server: ok") ||
               !contains(log(), "database rel: ok")) {
            INFO(log());
            REQUIRE_FALSE(until.expired());
            std::this_thread::sleep_for(10ms);
        }
    }

    [[nodiscard]] const test::database& data() const { return data_; }
    [[nodiscard]] const std::string& tag() const { return tag_; }
    [[nodiscard]] std::string log() const { return files_.read("err"); }
    void signal(int which) const { bedsd_->signal(which); }
    /// A line of /proc/PID/status, in bytes.
    [[nodiscard]] std::size_t memory(const std::string& line) const {
        std::ifstream file{"/proc/" + std::to_string(bedsd_->id()) + "/status"};
        for (std::string text; std::getline(file, text);) {
            if (text.starts_with(line + ":")) {
                return std::stoul(text.substr(line.size() + 1)) * 1024;
            }
        }
        return 0;
    }
    /// Most that was resident at any time.
    [[nodiscard]] std::size_t peak() const { return memory("VmHWM"); }
    [[nodiscard]] std::size_t now() const { return memory("VmRSS"); }

private:
    folder files_;
    test::database data_;
    std::string tag_ = test::unique_name("t") + "_";
    std::unique_ptr<process> bedsd_;
};

} // namespace

TEST_CASE("256 finds of 2 MB each in one batch: all are answered, and bedsd stays small") {
    measured_daemon node;
    // 16 books of 40 pages of 50,000 letters; a request of its own for each, 16 times.
    node.data().sql(
        "INSERT INTO pages SELECT seq, seq DIV 40, REPEAT(CHAR(97 + seq DIV 40), 50000) "
        "FROM seq_0_to_639");
    test::raw_client raw{servers().amqp(), node.tag()};
    constexpr int finds = 256;
    const auto ask = [&](int number) {
        raw.publish({.key = "pages.read",
                     .body = R"({"v":1,"template":"pages","op":"find","where":{"book":)" +
                             std::to_string(number % 16) + R"(},"limit":)" +
                             std::to_string(40 + number / 16) + "}",
                     .correlation_id = std::to_string(number),
                     .reply_to = raw.reply_queue()});
    };
    // Between them, small ones that run in a group of their own and are answered all the same.
    const auto ask_small = [&](int number) {
        raw.publish({.key = "pages.read",
                     .body = R"({"v":1,"template":"pages","op":"fetch","fields":["book"],"key":)" +
                             std::to_string(number) + "}",
                     .correlation_id = std::to_string(finds + number),
                     .reply_to = raw.reply_queue()});
    };
    const auto is_right = [](const test::raw_answer& got) {
        if (const auto number = std::stoi(got.correlation_id); number >= finds) {
            return contains(got.body, R"("book":)" + std::to_string((number - finds) / 40) + "}");
        }
        const auto letter = static_cast<char>('a' + std::stoi(got.correlation_id) % 16);
        return got.body.size() > 2'000'000 && got.body.size() < 2'010'000 &&
               got.body.ends_with(std::string(50'000, letter) + "\"}]}");
    };
    ask(0);
    REQUIRE(raw.settle());
    const auto first = raw.reply(20s);
    REQUIRE(first);
    REQUIRE(is_right(*first));
    const auto base = node.peak();
    for (int round = 0; round < 2; ++round) {
        node.signal(SIGSTOP); // so that it finds all of them when it goes on
        for (int i = 0; i < finds; ++i) {
            ask(i);
            ask_small(i);
        }
        REQUIRE(raw.settle());
        node.signal(SIGCONT);
        std::vector<int> answered(2 * finds);
        int wrong = 0;
        for (int i = 0; i < 2 * finds; ++i) {
            const auto got = raw.reply(30s);
            REQUIRE(got);
            ++answered[static_cast<std::size_t>(std::stoi(got->correlation_id))];
            wrong += is_right(*got) ? 0 : 1;
        }
        CHECK(wrong == 0);
        CHECK(answered == std::vector<int>(2 * finds, 1));
    }
    INFO("base " << base / mib << " MiB, peak " << node.peak() / mib << " MiB\n" << node.log());
    if (is_measured) {
        CHECK(node.peak() < 160 * mib);
    }
    CHECK_FALSE(raw.reply(200ms));
}

TEST_CASE("a backlog in front of a slow database stays in RabbitMQ, not in bedsd") {
    const int each = test::in_full() ? 100'000 : 25'000;
    measured_daemon node;
    node.data().sql("INSERT INTO pages VALUES (1, 1, 'x')");
    test::raw_client raw{servers().amqp(), node.tag()};
    const auto base = node.now();
    std::atomic<bool> stop{false};
    std::thread slow{[&] { // nobody gets at the table but for moments
        while (!stop) {
            node.data().sql("LOCK TABLES pages WRITE; DO SLEEP(0.5); UNLOCK TABLES");
        }
    }};
    const std::string blanks(4096, ' ');
    std::size_t most = 0;
    bool kept = true;
    for (int i = 0; i < each; ++i) {
        raw.publish({.key = "pages.read",
                     .body = R"({"v":1,"template":"pages","op":"fetch","key":1})" + blanks,
                     .correlation_id = std::to_string(i),
                     .reply_to = raw.reply_queue()});
        raw.publish({.key = "pages.write",
                     .body = R"({"v":1,"template":"pages","op":"update","key":1,"set":{"text":")" +
                             std::string(4096, static_cast<char>('a' + i % 26)) + "\"}}",
                     .message_id = "backlog-" + std::to_string(i)});
        if (i % 500 == 499) {
            kept = raw.settle() && kept;
            most = std::max(most, node.now());
        }
    }
    CHECK(kept);
    const auto waiting =
        raw.ready_messages(amqp::request_queue_name(node.tag(), "rel", core::op_class::write));
    stop = true;
    slow.join();
    // And while it works at full speed.
    for (int i = 0; i < 2'000; ++i) {
        REQUIRE(raw.reply(20s));
    }
    INFO("base " << base / mib << " MiB, peak " << node.peak() / mib << " MiB, waiting "
                 << waiting);
    CHECK(waiting > 10'000);
    if (is_measured) {
        CHECK(node.peak() < base + 150 * mib);
    }
    for (const auto op_class : {core::op_class::read, core::op_class::write}) {
        amqp::publisher_connection{test::amqp_settings(servers().amqp()),
                                   core::deadline::after(20s)}
            .remove(amqp::request_queue_name(node.tag(), "rel", op_class),
                    core::deadline::after(20s));
    }
}
