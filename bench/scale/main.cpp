// Does the cost of an operation stay what it is? 32 fetches per envelope (--envelope) with 1, 2, 4
// and 8 brokers; 1, 100 and 1,000 templates, each envelope of another one; tables of a thousand to
// a million rows (BEDS_BENCH_SCALE_ROWS=10000000 for one more), in a buffer pool that holds them. A
// table of microseconds per operation; compared is the largest of each kind with the smallest (at
// most 1.5 times; rows 2, their index is deeper and leaves the processor's cache).
#include "common/fixture.hpp"
#include "common/report.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>

using namespace beds::bench;

namespace {

struct point {
    std::uint64_t size = 0;    ///< brokers, templates or rows
    std::vector<double> costs; ///< microseconds per operation, by round
};

struct axis {
    std::string name;
    double goal = 1.5;
    std::vector<point> points;
};

double median(std::vector<double> of) {
    std::sort(of.begin(), of.end());
    return of[of.size() / 2];
}

std::string template_text(const std::string& name, const std::string& object) {
    return "[template]\nname = \"" + name + "\"\nstore = \"rel\"\nobject = \"" + object +
           "\"\nkey = [\"id\"]\n[fields]\nid = { type = \"int64\", required = true }\n"
           "email = { type = \"string\", max = 64 }\nstatus = { type = \"int32\" }\n"
           "balance = { type = \"int64\" }\ncreated = { type = \"datetime\" }\n";
}

/// What a run asks for.
struct asked {
    std::uint64_t operations;
    std::uint64_t envelope;
    std::uint64_t window;
    std::uint64_t rows = static_cast<std::uint64_t>(bench_rows);
    std::vector<std::string> templates; ///< one for each envelope, in turn
};

measurement run(const bench_node& node, const asked& what) {
    const auto row_of = [rows = what.rows](std::uint64_t operation) {
        return 1 + static_cast<std::int64_t>(operation * 7919 % rows);
    };
    load made;
    made.messages = what.operations / what.envelope;
    made.operations_per_message = what.envelope;
    made.window = what.window;
    made.exchange = node.exchange();
    made.make = [&](std::uint64_t i, std::string& body) {
        body.append(R"({"v":1,"ops":[)");
        for (std::uint64_t k = 0; k < what.envelope; ++k) {
            body.append(k == 0 ? "" : ",")
                .append(R"({"template":")")
                .append(what.templates[i % what.templates.size()])
                .append(R"(","op":"fetch","key":)")
                .append(std::to_string(row_of(i * what.envelope + k)))
                .append("}");
        }
        body.append("]}");
    };
    made.verify = [&](std::uint64_t i, std::string_view got) {
        std::size_t at = 0;
        for (std::uint64_t k = 0; k < what.envelope; ++k) {
            at = got.find(expected_row(row_of(i * what.envelope + k)), at);
            if (at == std::string_view::npos) {
                return false;
            }
        }
        return true;
    };
    made.routing_key = what.templates.front() + ".read"; // without strict_route any will do
    return run_load(rabbitmq_from_environment(), made);
}

} // namespace

int main(int argc, char** argv) try {
    const auto options =
        parse_options(argc, argv, "scale: cost per operation over brokers, templates and rows");
    asked base;
    base.envelope = options.envelope != 0 ? options.envelope : 32;
    base.window = options.window != 0 ? options.window : 16 * base.envelope;
    base.operations = static_cast<std::uint64_t>(200'000 * options.scale);

    std::vector<axis> axes{{"brokers", 1.5, {}}, {"templates", 1.5, {}}, {"rows", 2.0, {}}};
    for (const std::uint64_t size : {1U, 2U, 4U, 8U}) {
        axes[0].points.push_back({size, {}});
    }
    for (const std::uint64_t size : {1U, 100U, 1000U}) {
        axes[1].points.push_back({size, {}});
    }
    std::uint64_t most = options.judge ? 1'000'000 : 100'000;
    if (const char* more = std::getenv("BEDS_BENCH_SCALE_ROWS")) {
        most = std::strtoull(more, nullptr, 10);
    }
    for (std::uint64_t size = 1000; size <= most; size *= 10) {
        axes[2].points.push_back({size, {}});
    }

    // Thousand templates over one table are what a registry holds, whatever they are about.
    bench_node::options many{1, 0, {}, {}};
    for (std::uint64_t i = 0; i < axes[1].points.back().size; ++i) {
        many.templates.push_back(template_text("t" + std::to_string(i), "bench_users"));
    }
    bench_node::options large{1, 0, {}, {}};
    if (options.judge) { // what is asked is not how fast the disk is
        constexpr std::uint64_t bytes_a_row = 300;
        large.sql.push_back("SET GLOBAL innodb_buffer_pool_size = " +
                            std::to_string((std::uint64_t{256} << 20U) + most * bytes_a_row));
    }
    for (const auto& each : axes[2].points) {
        const auto size = std::to_string(each.size);
        large.sql.push_back("CREATE TABLE rows_" + size + " LIKE bench_users");
        large.sql.push_back("INSERT INTO rows_" + size +
                            " SELECT seq, CONCAT('u', seq, '@example.org'), 1, 100, "
                            "'2026-01-31 12:00:00' FROM seq_1_to_" +
                            size);
        large.templates.push_back(template_text("rows_" + size, "rows_" + size));
    }

    std::string wrong;
    const auto measured = [&](const bench_node& node, const asked& what, point& into) {
        asked short_one = what; // statements are prepared, pages read
        short_one.operations =
            std::max(what.operations / 5, what.envelope * what.templates.size() * 2);
        static_cast<void>(run(node, short_one));
        const auto got = run(node, what);
        if (got.wrong != 0) {
            wrong += std::to_string(got.wrong) + " answers, the first: " + got.first_wrong + "; ";
        }
        into.costs.push_back(1e6 / got.operations_per_second);
    };
    std::int64_t pool = 0;
    for (unsigned number = 0; number < options.rounds; ++number) {
        for (auto& each : axes[0].points) {
            bench_node node{{static_cast<unsigned>(each.size), 0}};
            pool = node.query("SELECT @@innodb_buffer_pool_size");
            auto what = base;
            what.templates = {"users"};
            measured(node, what, each);
        }
        {
            bench_node node{many};
            for (auto& each : axes[1].points) {
                auto what = base;
                for (std::uint64_t i = 0; i < each.size; ++i) {
                    what.templates.push_back("t" + std::to_string(i));
                }
                measured(node, what, each);
            }
        }
        bench_node node{large};
        for (auto& each : axes[2].points) {
            auto what = base;
            what.rows = each.size;
            what.templates = {"rows_" + std::to_string(each.size)};
            measured(node, what, each);
        }
        if (options.judge) {
            node.run("SET GLOBAL innodb_buffer_pool_size = " + std::to_string(pool));
        }
    }

    int code = 0;
    for (const auto& each : axes) {
        series curve{"microseconds per operation", {each.name, "median", "least", "most"}, {}};
        std::printf("  %-10s median us/operation (least to most)\n", each.name.c_str());
        for (const auto& one : each.points) {
            const auto [least, largest] = std::minmax_element(one.costs.begin(), one.costs.end());
            std::printf("  %10llu %6.2f (%.2f to %.2f)\n",
                        static_cast<unsigned long long>(one.size), median(one.costs), *least,
                        *largest);
            curve.rows.push_back(
                {static_cast<double>(one.size), median(one.costs), *least, *largest});
        }
        std::vector<round> rounds;
        for (unsigned number = 0; number < options.rounds; ++number) {
            rounds.push_back({each.points.front().costs[number], each.points.back().costs[number]});
        }
        comparison what{"scale_" + each.name,
                        "us/operation",
                        each.goal,
                        {{"operations", base.operations},
                         {"envelope", base.envelope},
                         {"window", base.window},
                         {"from", each.points.front().size},
                         {"to", each.points.back().size}}};
        what.direction = better::lower;
        what.curves = [&] { return std::vector{curve}; };
        print_settings(what);
        const auto one = finish(what, options, rounds, wrong);
        code = code == 1 || one == 1 ? 1 : std::max(code, one);
    }
    return code;
} catch (const std::exception& failed) {
    std::fprintf(stderr, "scale: %s\n", failed.what());
    return 1;
}
