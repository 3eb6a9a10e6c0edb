#include "common/report.hpp"

#include <beds/core/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace beds::bench {
namespace {

double median(std::vector<double> of) {
    if (of.empty()) {
        return 0;
    }
    std::sort(of.begin(), of.end());
    const auto half = of.size() / 2;
    return of.size() % 2 == 1 ? of[half] : (of[half - 1] + of[half]) / 2;
}

/// Operations a second without decimals, milliseconds with some.
std::string readable(double number) {
    char text[40];
    std::snprintf(text, sizeof text, std::abs(number) >= 100 ? "%.0f" : "%.4g", number);
    return text;
}

class json_line {
public:
    json_line& raw(std::string_view text) {
        text_ += text;
        return *this;
    }
    json_line& quoted(std::string_view text) {
        core::append_json_string(text_, text);
        return *this;
    }
    json_line& number(double value) {
        char text[40];
        std::snprintf(text, sizeof text, "%.9g", value);
        return raw(std::isfinite(value) ? text : "null");
    }
    json_line& member(std::string_view name) {
        return raw(text_.back() == '{' ? "" : ",").quoted(name).raw(":");
    }
    /// `[a,b,…]`
    template <typename Items, typename Write>
    json_line& list(const Items& items, Write write) {
        raw("[");
        bool first = true;
        for (const auto& one : items) {
            raw(first ? "" : ",");
            first = false;
            write(one);
        }
        return raw("]");
    }
    [[nodiscard]] const std::string& text() const { return text_; }

private:
    std::string text_;
};

void record(const comparison& what, const bench_options& options, std::span<const round> rounds,
            const std::string& verdict, const std::string& wrong, const std::vector<double>& ratios,
            double floor, double beds) {
    const char* path = std::getenv("BEDS_BENCH_RESULTS");
    if (path == nullptr || *path == '\0') {
        return;
    }
    json_line out;
    out.raw("{").member("name").quoted(what.name).member("unit").quoted(what.unit);
    out.member("direction").quoted(what.direction == better::higher ? "higher" : "lower");
    out.member("goal").number(what.goal);
    out.member("goal_of").quoted(what.judged == goal_of::ratio ? "ratio" : "value");
    out.member("settings").raw("{").member("brokers").quoted(std::to_string(options.brokers));
    for (const auto& one : what.settings) {
        if (one.name != "brokers") {
            out.member(one.name).quoted(one.value);
        }
    }
    out.raw("}").member("rounds").list(rounds, [&](const round& one) {
        out.raw("[").number(one.floor).raw(",").number(one.beds).raw("]");
    });
    const auto [least, most] = std::minmax_element(ratios.begin(), ratios.end());
    out.member("ratio").raw("{").member("median").number(median(ratios));
    out.member("least").number(ratios.empty() ? 0 : *least);
    out.member("most").number(ratios.empty() ? 0 : *most).raw("}");
    out.member("floor").number(floor).member("beds").number(beds);
    out.member("verdict").quoted(verdict).member("wrong").quoted(wrong);
    const auto curves = what.curves ? what.curves() : std::vector<series>{};
    out.member("series").list(curves, [&](const series& one) {
        out.raw("{").member("name").quoted(one.name);
        out.member("columns").list(one.columns, [&](const auto& name) { out.quoted(name); });
        out.member("rows").list(one.rows, [&](const auto& cells) {
            out.list(cells, [&](double cell) { out.number(cell); });
        });
        out.raw("}");
    });
    out.raw("}\n");
    auto* file = std::fopen(path, "a");
    const bool written = file != nullptr && std::fwrite(out.text().data(), 1, out.text().size(),
                                                        file) == out.text().size();
    if (file == nullptr || std::fclose(file) != 0 || !written) {
        std::fprintf(stderr, "cannot write to %s\n", path);
        std::exit(1);
    }
}

} // namespace

bench_options parse_options(int argc, char** argv, const char* what) {
    bench_options made;
    for (int i = 1; i < argc; ++i) {
        const std::string_view one{argv[i]};
        const auto number = [&] {
            if (i + 1 >= argc) {
                std::fprintf(stderr, "%s needs a number\n", argv[i]);
                std::exit(2);
            }
            return static_cast<unsigned>(std::strtoul(argv[++i], nullptr, 10));
        };
        if (one == "--quick") {
            made.rounds = 1;
            made.scale = 0.1;
            made.judge = false;
        } else if (one == "--beds-only") {
            made.beds_only = true;
            made.judge = false;
        } else if (one == "--scale" && i + 1 < argc) {
            made.scale = std::max(0.001, std::strtod(argv[++i], nullptr));
        } else if (one == "--rounds") {
            made.rounds = std::max(1U, number());
        } else if (one == "--brokers") {
            made.brokers = std::max(1U, number());
        } else if (one == "--window") {
            made.window = std::max(1U, number());
        } else if (one == "--envelope") {
            made.envelope = std::max(1U, number());
        } else {
            std::fprintf(one == "--help" ? stdout : stderr,
                         "%s\n  --rounds N    how often floor and BEDS run in turn (5)\n"
                         "  --brokers N   threads that answer (1)\n"
                         "  --scale F     so much of the usual number of messages (1)\n"
                         "  --window N    operations under way, where the bench has a window\n"
                         "  --envelope N  operations per message, where the bench has envelopes\n"
                         "  --beds-only   no floor and no verdict, for profiles\n"
                         "  --quick       one short round, without a verdict on speed\n",
                         what);
            std::exit(one == "--help" ? 0 : 2);
        }
    }
    return made;
}

void print_settings(const comparison& what) {
    std::printf("%s:", what.name.c_str());
    for (const auto& one : what.settings) {
        std::printf(" %s=%s", one.name.c_str(), one.value.c_str());
    }
    std::printf("\n");
    std::fflush(stdout);
}

int finish(const comparison& what, const bench_options& options, std::span<const round> rounds,
           const std::string& wrong) {
    std::vector<double> floors;
    std::vector<double> ours;
    std::vector<double> ratios;
    for (const auto& one : rounds) {
        floors.push_back(one.floor);
        ours.push_back(one.beds);
        ratios.push_back(one.beds / one.floor);
    }
    if (!wrong.empty()) {
        std::printf("  WRONG: %s\n", wrong.c_str());
    }
    if (!ratios.empty()) {
        const auto [least, most] = std::minmax_element(ratios.begin(), ratios.end());
        std::printf("  spread of ratios %.2f to %.2f\n", *least, *most);
    }
    const auto ratio = median(ratios);
    const bool by_ratio = what.judged == goal_of::ratio;
    const auto reached = by_ratio ? ratio : median(ours);
    const bool missed =
        what.direction == better::higher ? reached < what.goal : reached > what.goal;
    char goal[40];
    std::snprintf(goal, sizeof goal, "%.2f", what.goal);
    std::printf("  goal %s%s%s: %s%s\n", by_ratio ? goal : readable(what.goal).c_str(),
                by_ratio ? "" : (" " + what.unit).c_str(),
                what.direction == better::higher ? "" : " or less", missed ? "missed" : "reached",
                options.judge ? "" : " (one short round says little)");
    std::printf("%s ratio=%.2f beds=%s floor=%s unit=%s\n", what.name.c_str(), ratio,
                readable(median(ours)).c_str(), readable(median(floors)).c_str(),
                what.unit.c_str());
    std::fflush(stdout);
    const char* verdict = !wrong.empty()   ? "wrong"
                          : !options.judge ? "unjudged"
                          : missed         ? "missed"
                                           : "reached";
    record(what, options, rounds, verdict, wrong, ratios, median(floors), median(ours));
    if (!wrong.empty()) {
        return 1;
    }
    return missed && options.judge ? 3 : 0;
}

int compare(const comparison& what, const bench_options& options,
            const std::function<measurement()>& floor, const std::function<measurement()>& beds,
            const std::function<std::string()>& check, const std::vector<further_floor>& further) {
    if (!what.settings.empty()) {
        print_settings(what);
    }
    std::vector<round> rounds;
    std::vector<std::vector<round>> of_further(further.size());
    std::string wrong;
    const auto run = [&](const std::function<measurement()>& one) {
        const auto got = one();
        if (got.wrong != 0) {
            wrong += std::to_string(got.wrong) + " answers, the first: " + got.first_wrong + "; ";
        }
        return got.operations_per_second;
    };
    const auto print = [](const char* name, const round& one) {
        std::printf("%s %s, beds %s, ratio %.2f", name, readable(one.floor).c_str(),
                    readable(one.beds).c_str(), one.beds / one.floor);
    };
    for (unsigned number = 0; options.beds_only && number < options.rounds; ++number) {
        const auto got = beds();
        wrong += got.wrong == 0 ? "" : "wrong answers, the first: " + got.first_wrong + "; ";
        std::printf("%s beds=%s unit=%s operations=%llu\n", what.name.c_str(),
                    readable(got.operations_per_second).c_str(), what.unit.c_str(),
                    static_cast<unsigned long long>(got.operations));
        std::fflush(stdout);
    }
    if (options.beds_only) {
        wrong += check ? check() : "";
        std::printf("%s%s",
                    wrong.empty() ? "" : "  WRONG: ", wrong.empty() ? "" : (wrong + "\n").c_str());
        return wrong.empty() ? 0 : 1;
    }
    for (unsigned number = 0; number < options.rounds; ++number) {
        auto& last = rounds.emplace_back();
        last.floor = run(floor);
        for (std::size_t i = 0; i < further.size(); ++i) {
            of_further[i].emplace_back().floor = run(further[i].run);
        }
        last.beds = run(beds);
        std::printf("  round %u: ", number + 1);
        print("floor", last);
        for (std::size_t i = 0; i < further.size(); ++i) {
            of_further[i].back().beds = last.beds;
            std::printf("; ");
            print(further[i].name.c_str(), of_further[i].back());
        }
        std::printf("\n");
        std::fflush(stdout);
    }
    if (check) {
        wrong += check();
    }
    int code = 0;
    for (std::size_t i = 0; i < further.size(); ++i) {
        auto own = what;
        own.name = further[i].name;
        own.goal = further[i].goal;
        own.curves = {};
        code = std::max(code, finish(own, options, of_further[i], wrong));
    }
    const auto first = finish(what, options, rounds, wrong);
    return wrong.empty() ? std::max(code, first) : 1;
}

} // namespace beds::bench
