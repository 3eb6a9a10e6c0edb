#include "common/report.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace beds::bench {
namespace {

double median(std::vector<double> of) {
    std::sort(of.begin(), of.end());
    const auto half = of.size() / 2;
    return of.size() % 2 == 1 ? of[half] : (of[half - 1] + of[half]) / 2;
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
        } else if (one == "--rounds") {
            made.rounds = std::max(1U, number());
        } else if (one == "--brokers") {
            made.brokers = std::max(1U, number());
        } else {
            std::fprintf(one == "--help" ? stdout : stderr,
                         "%s\n  --rounds N    how often floor and BEDS run in turn (5)\n"
                         "  --brokers N   threads that answer (1)\n  --quick       one short "
                         "round, without a verdict on speed\n",
                         what);
            std::exit(one == "--help" ? 0 : 2);
        }
    }
    return made;
}

int compare(const comparison& what, const bench_options& options,
            const std::function<measurement()>& floor, const std::function<measurement()>& beds,
            const std::function<std::string()>& check) {
    std::vector<double> floors;
    std::vector<double> ours;
    std::vector<double> ratios;
    int wrong = 0;
    for (unsigned round = 0; round < options.rounds; ++round) {
        const auto raw = floor();
        const auto done = beds();
        for (const auto* one : {&raw, &done}) {
            if (one->wrong != 0) {
                std::printf("  WRONG: %llu answers, the first: %s\n",
                            static_cast<unsigned long long>(one->wrong), one->first_wrong.c_str());
                wrong = 1;
            }
        }
        floors.push_back(raw.operations_per_second);
        ours.push_back(done.operations_per_second);
        ratios.push_back(done.operations_per_second / raw.operations_per_second);
        std::printf("  round %u: floor %.0f, beds %.0f, ratio %.2f\n", round + 1, floors.back(),
                    ours.back(), ratios.back());
        std::fflush(stdout);
    }
    if (check) {
        if (const auto problem = check(); !problem.empty()) {
            std::printf("  WRONG: %s\n", problem.c_str());
            wrong = 1;
        }
    }
    const auto [least, most] = std::minmax_element(ratios.begin(), ratios.end());
    std::printf("  spread of ratios %.2f to %.2f\n", *least, *most);
    const auto ratio = median(ratios);
    const bool missed = ratio < what.goal;
    std::printf("  goal %.2f: %s%s\n", what.goal, missed ? "missed" : "reached",
                options.judge ? "" : " (one short round says little)");
    std::printf("%s ratio=%.2f beds=%.0f floor=%.0f unit=%s\n", what.name.c_str(), ratio,
                median(ours), median(floors), what.unit.c_str());
    if (wrong != 0) {
        return wrong;
    }
    return missed && options.judge ? 3 : 0;
}

} // namespace beds::bench
