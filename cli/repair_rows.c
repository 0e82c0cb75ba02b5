/* The rows that describe the options of `netmend repair`. */
#include <math.h>

#include "repair_args.h"

#define AT(field) .offset = offsetof(nm_repair_args, field)

static const nm_opt model_rows[] = {{.name = "MODEL",
                                     .kind = NM_OPT_PATH,
                                     .positional = true,
                                     .required = true,
                                     AT(model),
                                     .help = "network to repair, .onnx or .nnet"},
                                    {.name = "output",
                                     .short_name = 'o',
                                     .kind = NM_OPT_PATH,
                                     .required = true,
                                     AT(output),
                                     .arg = "OUT.onnx",
                                     .help = "repaired network; written only if the repair "
                                             "succeeds (at least in part, with --elastic)"},
                                    {0}};

const nm_opt nm_repair_set_rows[] = {
    {.name = "select",
     .kind = NM_OPT_TEXT,
     AT(select),
     .arg = "HEURISTIC",
     .initial = "All",
     .help = "repair set: All points of --inputs, the Misclassified ones, or by another heuristic, "
             "NAME[:key=value,...]; `netmend help heuristics` lists them"},
    {.name = "size",
     .kind = NM_OPT_INT,
     AT(size),
     .arg = "N",
     .min = 1,
     .max = 1e15,
     .initial = "all",
     .word = "all",
     .word_value = 0x1p62,
     .help = "take the first N of them, in the order of the heuristic"},
    {.name = "target",
     .kind = NM_OPT_TEXT,
     AT(target),
     .arg = "CLASS|FILE",
     .shown = "the labels",
     .help = "wanted classes where they differ from the labels: one number for all points, or a "
             "file of labels"},
    {0}};

/* The order of these lists is that of the enums in netmend/property_repair.h and verify_net.h. */
static const char *const pieces_names[] = {"nearest", "best", "exact", NULL};
static const char *const decision_names[] = {"max", "min", NULL};
static const char *const units_names[] = {"auto", "raw", "normalised", NULL};

static const nm_opt property_rows[] = {
    {.name = "property",
     .kind = NM_OPT_PATHS,
     AT(properties),
     .arg = "FILE.vnnlib",
     .help = "in place of --inputs: repair until this property is proven (may be given several "
             "times; all have to hold)"},
    {.name = "spec",
     .kind = NM_OPT_PATH,
     AT(spec),
     .arg = "FILE.json",
     .help = "what the outputs are to be like at the points of --inputs, in place of labels: for "
             "each any of several pieces, each of linear conditions that all hold"},
    {.name = "keep-property",
     .kind = NM_OPT_PATHS,
     AT(keep_properties),
     .arg = "FILE.vnnlib",
     .help = "property that has to hold in the end, too (may be given several times)"},
    {.name = "pieces",
     .kind = NM_OPT_CHOICE,
     AT(pieces),
     .choices = pieces_names,
     .initial = "nearest",
     .help = "which of several conditions a counterexample is to break: the nearest, or, where "
             "another for all of them changes less, that (best), or those with which the change is "
             "smallest, by branch and bound over all choices (exact)"},
    {.name = "decision",
     .kind = NM_OPT_CHOICE,
     AT(decision),
     .choices = decision_names,
     .initial = "max",
     .help = "which output decides, for the count of random inputs that are decided otherwise "
             "after the repair (ACAS Xu: min)"},
    {.name = "input-range",
     .kind = NM_OPT_BOUNDS,
     AT(range),
     .arg = "LO:HI",
     .initial = "auto",
     .word = "auto",
     .help =
         "where random inputs lie, for that count and for the function norm; auto: what a .nnet "
         "file states, else around the boxes of the properties and -0.5 to 0.5"},
    {.name = "max-nodes",
     .kind = NM_OPT_INT,
     AT(max_nodes),
     .arg = "N",
     .min = 1,
     .max = 1e15,
     .initial = "5000000",
     .help = "parts that the first proof may take before margins grow and it is tried again, with "
             "four times as many"},
    {.name = "regions-after",
     .kind = NM_OPT_INT,
     AT(regions_after),
     .arg = "N",
     .min = 0,
     .max = 1e9,
     .initial = "20",
     .help = "repairs of counterexamples after which each stands for what is unsafe around it: the "
             "corners of that box are repaired with it"},
    {.name = "units",
     .kind = NM_OPT_CHOICE,
     AT(units),
     .choices = units_names,
     .initial = "auto",
     .help = "of a .nnet network: whether properties are about raw or normalised values"},
    {0}};

static const nm_opt region_rows[] = {
    {.name = "regions",
     .kind = NM_OPT_PATH,
     AT(regions),
     .arg = "FILE.npy",
     .help =
         "in place of --inputs: convex hulls of which every input is to become right, an array "
         "[regions, vertices, inputs]; what is asked say --target, --labels (one class for each "
         "region) or --property"},
    {.name = "boxes",
     .kind = NM_OPT_PATH,
     AT(boxes),
     .arg = "FILE.npy",
     .help = "the same with boxes, an array [boxes, inputs, 2] of lower and upper ends; with "
             "--property and --method aprnn alone, its boxes are the regions"},
    {.name = "max-parts",
     .kind = NM_OPT_INT,
     AT(max_parts),
     .arg = "N",
     .min = 1,
     .max = 1e6,
     .initial = "1000",
     .help = "regions are cut into so many parts at most, all together"},
    {0}};

static const char *const free_names[] = {"weights+biases", "weights", "biases", NULL};

static const nm_opt edit_rows[] = {
    {.name = "layer",
     .kind = NM_OPT_TEXT,
     AT(layer),
     .arg = "L",
     .shown = "as --edit says",
     .help =
         "layer to change: auto (the one where the repair changes least), index (negative: from "
         "the end), name, last, all, K.. (weights of "
         "layer K, biases of K and later), or several with commas between (jointly)"},
    {.name = "joint",
     .kind = NM_OPT_FLAG,
     AT(joint),
     .help = "the weights of all these layers may change, not only those of the first"},
    {.name = "free",
     .kind = NM_OPT_CHOICE,
     AT(free_kind),
     .choices = free_names,
     .arg = "WHAT",
     .shown = "weights+biases",
     .help = "what may change in it: weights+biases, weights or biases"},
    {.name = "mask",
     .kind = NM_OPT_PATH,
     AT(mask),
     .arg = "FILE.npz",
     .help = "instead of --layer: single parameters, arrays <layer>.weight and <layer>.bias, "
             "nonzero = may change"},
    {.name = "bound",
     .kind = NM_OPT_BOUNDS,
     AT(bound),
     .arg = "B|LO:HI",
     .initial = "none",
     .word = "none",
     .help = "on the change of each parameter: -B to B, or LO to HI"},
    {.name = "edit",
     .kind = NM_OPT_TEXT,
     AT(edit),
     .arg = "HEURISTIC",
     .shown = "auto",
     .help = "instead of --layer: what may change by a heuristic, NAME[:key=value,...]; `netmend "
             "help heuristics` lists them"},
    {0}};

/* The order of these lists is that of the enums in netmend/repair.h. */
const char *const nm_repair_method_names[] = {"pointwise", "aprnn",      "layerwise",
                                              "minimal",   "multilayer", NULL};
static const char *const later_methods[] = {"prdnn",    "vere",  "inner", "head",
                                            "finetune", "cegis", NULL};
static const char *const norm_names[] = {"linf+l1n", "linf", "l1", "l2", "function", NULL};
static const char *const refine_names[] = {"auto", "on", "off", NULL};
static const char *const shift_names[] = {"auto", "on", "off", NULL};
static const char *const count_names[] = {"free", "marked", NULL};
static const char *const safe_names[] = {"any-order", "probable", "none", NULL};
static const char *const pins_names[] = {"lazy", "all", "none", NULL};
static const char *const strategy_names[] = {"full", "incremental", "accumulated", NULL};
static const char *const on_infeasible_names[] = {"skip", "split", "elastic", NULL};
static const char *const bounds_from_names[] = {"original", "pass", NULL};
static const char *const solver_names[] = {"auto", "clp", "structured", NULL};

static const nm_opt problem_rows[] = {
    {.name = "method",
     .kind = NM_OPT_CHOICE,
     AT(method),
     .choices = nm_repair_method_names,
     .later = later_methods,
     .initial = "pointwise",
     .help = "aprnn: one program that holds every later activation on its present side; layerwise: "
             "gradient steps as targets of layers, recursively, in any of the layers named (all of "
             "them by default); minimal: the smallest change of one layer with a proof, of several "
             "layers named the one where it is smallest; multilayer: the network is cut behind the "
             "layers named (all by default), values there are searched for, each part is repaired "
             "by itself"},
    {.name = "norm",
     .kind = NM_OPT_CHOICE,
     AT(norm),
     .choices = norm_names,
     .shown = "function with --keep or --reference, else l2; linf with --method minimal",
     .arg = "NORM",
     .help = "size of the change, which is minimised: function (what changes in the network's "
             "behaviour on the reference data), l2, l1, linf, or linf+l1n (largest change plus "
             "mean change)"},
    {.name = "damping",
     .kind = NM_OPT_DOUBLE,
     AT(damping),
     .arg = "D",
     .above_min = true,
     .max = 1e6,
     .initial = "auto",
     .word = "auto",
     .word_value = NAN,
     .help = "function norm: how much directions count in which the reference data say little, as "
             "a share of the mean"},
    {.name = "refine",
     .kind = NM_OPT_CHOICE,
     AT(refine),
     .choices = refine_names,
     .arg = "WHEN",
     .initial = "auto",
     .help = "function norm: then minimise what changes on the reference data itself, not its "
             "model: auto (where cheap, or the repair set large), on, off"},
    {.name = "label-share",
     .kind = NM_OPT_DOUBLE,
     AT(label_share),
     .arg = "S",
     .max = 1,
     .initial = "0.2",
     .help = "refining: how much the labels of the reference data count (the keep set's, or "
             "--reference-labels), against what the network said before"},
    {.name = "label-share",
     .kind = NM_OPT_DOUBLE,
     AT(label_share),
     .arg = "S",
     .max = 1,
     .initial = "0.2",
     .help = "refining: how much the labels of the reference data count (the keep set's, or "
             "--reference-labels), against what the network said before"},
    {.name = "copies",
     .kind = NM_OPT_INT,
     AT(copies),
     .arg = "N",
     .max = NM_MOST_COPIES,
     .initial = "auto",
     .word = "auto",
     .word_value = -1,
     .help =
         "refining: shifted and mirrored copies of each reference image; colour images only "
         "(auto: 3 where the repair set is a tenth of the reference data and the edited layers are "
         "not the last)"},
    {.name = "shift",
     .kind = NM_OPT_CHOICE,
     AT(shift),
     .choices = shift_names,
     .arg = "WHEN",
     .initial = "auto",
     .help = "function norm: start from the change that reads the points like reference data, "
             "found from moments without labels: auto (where that makes many of them right and "
             "leaves the reference data alone), on (the second is enough), off"},
    {.name = "norm-includes-outputs",
     .kind = NM_OPT_FLAG,
     AT(norm_includes_outputs),
     .help = "the norm also counts the changes of the outputs at the repair points"},
    {.name = "norm-counts",
     .kind = NM_OPT_CHOICE,
     AT(norm_counts),
     .choices = count_names,
     .initial = "free",
     .help = "parameters behind the mean of linf+l1n: those that can act, or all marked ones"},
    {.name = "margin",
     .kind = NM_OPT_DOUBLE,
     AT(margin),
     .arg = "M",
     .max = INFINITY,
     .initial = "auto",
     .word = "auto",
     .word_value = NAN,
     .unit = "output units",
     .help = "how far the wanted class must be above each other; auto: the least that survives "
             "float32 evaluation"},
    {.name = "safe",
     .kind = NM_OPT_CHOICE,
     AT(safe),
     .choices = safe_names,
     .initial = "any-order",
     .arg = "HOW",
     .help = "what a float32 evaluation elsewhere may not undo: any-order (rigorous bound), "
             "probable (probabilistic bound) or none (right in float64)"},
    {.name = "pins",
     .kind = NM_OPT_CHOICE,
     AT(pins),
     .choices = pins_names,
     .initial = "lazy",
     .help = "later activations held on their side: where needed, all, none"},
    {.name = "curve",
     .kind = NM_OPT_TEXT,
     AT(curve),
     .arg = "table|FILE.svg",
     .help =
         "also repairs with half to four times the margin and a tenth to ten times the damping, "
         "in memory, and shows what that costs: as a table, and as a picture"},
    {.name = "elastic",
     .kind = NM_OPT_FLAG,
     AT(elastic),
     .help = "repair as many points as possible where not all can be, and name the others"},
    {0}};

const nm_opt nm_strategy_rows[] = {
    {.name = "strategy",
     .kind = NM_OPT_CHOICE,
     AT(strategy),
     .choices = strategy_names,
     .arg = "HOW",
     .initial = "full",
     .help = "full: all points at once; incremental: in batches, each from the last accepted "
             "network; accumulated: the same, keeping what earlier passes made right"},
    {.name = "batch",
     .kind = NM_OPT_INT,
     AT(batch),
     .arg = "B",
     .min = 1,
     .max = 1e9,
     .initial = "10",
     .help = "points of a pass, drawn by --seed"},
    {.name = "passes",
     .kind = NM_OPT_INT,
     AT(passes),
     .arg = "N",
     .min = 1,
     .max = 1e6,
     .initial = "once",
     .word = "once",
     .word_value = 0,
     .help = "passes at most; once: until each point had its turn"},
    {.name = "max-drawdown",
     .kind = NM_OPT_DOUBLE,
     AT(max_drawdown),
     .arg = "D",
     .max = 100,
     .initial = "none",
     .word = "none",
     .word_value = INFINITY,
     .unit = "points of accuracy",
     .help = "a pass after which more is lost on the points that passes are judged on "
             "(--validation), or on the test set, is undone, and, without --patience, the last"},
    {.name = "patience",
     .kind = NM_OPT_INT,
     AT(patience),
     .arg = "K",
     .min = 1,
     .max = 1e6,
     .initial = "none",
     .word = "none",
     .word_value = 0,
     .help = "ends after so many passes without a better network"},
    {.name = "on-infeasible",
     .kind = NM_OPT_CHOICE,
     AT(on_infeasible),
     .choices = on_infeasible_names,
     .arg = "WHAT",
     .initial = "skip",
     .help = "with a batch that has no repair: skip it, split it into halves, or repair it in part "
             "(elastic)"},
    {.name = "bounds-from",
     .kind = NM_OPT_CHOICE,
     AT(bounds_from),
     .choices = bounds_from_names,
     .arg = "WHERE",
     .initial = "original",
     .help = "what --bound counts from in later passes: the original network, or that of the pass"},
    {0}};

static const nm_opt solver_rows[] = {
    {.name = "solver",
     .kind = NM_OPT_CHOICE,
     AT(solver),
     .choices = solver_names,
     .arg = "NAME",
     .initial = "auto",
     .help = "auto, clp or structured"},
    {.name = "gap",
     .kind = NM_OPT_DOUBLE,
     AT(gap),
     .arg = "G",
     .max = 1,
     .above_min = true,
     .initial = "1e-6",
     .help = "relative distance from the optimum that is good enough"},
    {.name = "max-rounds",
     .kind = NM_OPT_INT,
     AT(max_rounds),
     .arg = "N",
     .min = 1,
     .max = 1e6,
     .initial = "20",
     .help = "how often margins may be raised after checking the written file"},
    {.name = "claim",
     .kind = NM_OPT_PATH,
     AT(claim),
     .arg = "FILE.json",
     .help = "write what holds, with proofs, for `netmend check`; also when no repair exists"},
    {.name = "report",
     .kind = NM_OPT_PATH,
     AT(report),
     .arg = "FILE.html",
     .help = "write all about the repair as one page for a browser"},
    {0}};

const nm_opt nm_advise_rows[] = {
    {.name = "free",
     .kind = NM_OPT_CHOICE,
     AT(free_kind),
     .choices = free_names,
     .arg = "WHAT",
     .shown = "weights+biases",
     .help = "what may change in a layer: weights+biases, weights or biases"},
    {.name = "margin",
     .kind = NM_OPT_DOUBLE,
     AT(margin),
     .arg = "M",
     .max = INFINITY,
     .initial = "auto",
     .word = "auto",
     .word_value = NAN,
     .unit = "output units",
     .help = "how far the wanted class must be above each other; auto: a tenth of what the points "
             "are behind"},
    {0}};

#undef AT

const nm_opt_group nm_repair_groups[] = {
    {"Arguments", model_rows, 0},
    NM_REPAIR_SETS,
    {"Data", nm_data_prep_rows, offsetof(nm_repair_args, prep)},
    {"What must become right", nm_repair_set_rows, 0},
    {"Properties", property_rows, 0},
    {"Regions", region_rows, 0},
    {"What may change", edit_rows, 0},
    {"What is asked", problem_rows, 0},
    {"Passes", nm_strategy_rows, 0},
    {"Solver", solver_rows, 0},
    NM_COMMON_GROUP,
    {0}};
