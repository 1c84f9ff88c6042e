// What a classifier's answers over a split are worth, from the probabilities that it gave each class: the numbers of
// scikit-learn 1.9 (precision_recall_fscore_support, balanced_accuracy_score, roc_auc_score, top_k_accuracy_score,
// log_loss), and the expected calibration error of Guo et al. 2017, "On Calibration of Modern Neural Networks".
//
// A number that is not defined is NaN: of a class without samples recall, of a class that nothing was taken for
// precision, of a class with neither F1, of a class that has no samples or all of them AUC, and of no samples at all
// everything. Averages over classes leave undefined ones out (scikit-learn's zero_division=nan).
//
// Sums are doubles, added in the order of samples: the same answers give the same bits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lockstep::metrics {

struct ClassNumbers {
  int64_t support = 0;    ///< samples that are of the class
  int64_t predicted = 0;  ///< samples that were taken for it
  double precision = 0;   ///< of those taken for it, how many are
  double recall = 0;      ///< of those that are, how many were taken for it
  double f1 = 0;          ///< harmonic mean of both
  double auc = 0;         ///< area under the ROC curve of its probability, against all other classes; ties count half
};

struct ClassAverages {
  double precision = 0, recall = 0, f1 = 0;
};

struct Classification {
  int64_t samples = 0;
  std::vector<ClassNumbers> classes;
  std::vector<int64_t> confusion;  ///< [label][answer], classes * classes
  ClassAverages macro;             ///< each class counts alike
  ClassAverages weighted;          ///< by support
  double accuracy = 0;
  double balanced_accuracy = 0;  ///< mean recall of the classes that have samples
  double top5 = 0;               ///< share of samples whose class is among the five most probable; 1 of up to 5 classes
  double auc = 0;                ///< of two classes that of class 1, else the mean over classes, one against the rest
  double calibration_error = 0;  ///< expected calibration error (ECE)
  double log_loss = 0;           ///< mean of -log(probability of the class), clipped at 2^-52
};

/// `probabilities`: [samples][classes] as softmax gives them; `labels`: [samples], each in [0, classes). The answer is
/// the most probable class, the first of several. Among the five most probable, later classes come first where they are
/// equally so, as in scikit-learn. A probability that is NaN is never the highest, and makes log_loss,
/// calibration_error and its class's AUC NaN.
Classification MeasureClassification(std::span<const float> probabilities, std::span<const int32_t> labels,
                                     int classes);

/// The class of the highest probability, the first of several; 0 where all are NaN.
int32_t MostProbable(std::span<const float> probabilities);

/// The same of answers alone, without probabilities: what follows from these is NaN. `answers`: [samples].
Classification MeasureAnswers(std::span<const int32_t> answers, std::span<const int32_t> labels, int classes);

}  // namespace lockstep::metrics
