#include "launch/recipe/other_names.h"

#include <algorithm>
#include <sstream>

namespace lockstep::launch {
namespace {

std::vector<std::string> WordsOf(const char* text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

struct Row {
  const char* fields;  ///< the likeliest first
  const char* names;   ///< in other frameworks
};

constexpr Row kRows[] = {
    {"train.epochs", "epoch num_epochs n_epochs nepochs max_epochs num_train_epochs total_epochs train_epochs"},
    {"train.steps",
     "max_steps num_steps n_steps max_iters max_iter iters iterations num_iterations total_steps train_steps "
     "num_train_steps training_steps train_iters"},
    {"train.global_batch",
     "batch_size bs batch batchsize train_batch_size global_batch_size per_device_train_batch_size minibatch "
     "mini_batch mini_batch_size minibatch_size micro_batch_size"},
    {"train.batch_tokens", "max_tokens tokens_per_batch max_tokens_per_batch"},
    {"train.seed", "random_seed manual_seed rng_seed random_state rng"},
    {"train.precision", "dtype amp fp16 bf16 fp32 half mixed_precision data_type torch_dtype"},
    {"train.device", "gpu gpus cuda accelerator use_cuda use_gpu no_cuda"},
    {"train.recompute_activations",
     "gradient_checkpointing activation_checkpointing grad_checkpointing checkpoint_activations recompute remat"},
    {"train.init_from",
     "pretrained resume_from load load_from load_checkpoint init_checkpoint init_weights pretrained_model finetune "
     "fine_tune checkpoint_path"},
    {"train.new_head", "ignore_mismatched_sizes reset_classifier new_classifier reset_head"},
    {"optimizer.groups.frozen", "freeze frozen_layers freeze_layers requires_grad trainable"},
    {"optimizer.groups.thaw_at_step", "unfreeze unfreeze_at_step unfreeze_at_epoch thaw"},
    {"optimizer.groups.rate_factor", "learning_rate_factor lr_mult lr_scale lr_multiplier"},
    {"optimizer.groups.frozen_statistics", "freeze_bn freeze_statistics norm_eval bn_eval"},
    {"train.early_stopping", "early_stop earlystopping early_stopping_patience"},
    {"train.evaluate_every_steps",
     "eval_steps eval_every eval_interval val_interval val_check_interval evaluate_every eval_freq validate_every"},
    {"train.log_every_steps",
     "log_every log_interval log_steps logging_steps log_every_n_steps print_freq print_every log_freq"},
    {"optimizer", "optim opt solver"},
    {"optimizer.learning_rate",
     "lr base_lr max_lr peak_lr init_lr initial_lr learning_rate_init learningrate rate eta step_size"},
    {"optimizer.weight_decay", "wd decay l2 l2_reg weightdecay weight_decay_rate"},
    {"optimizer.clip_norm",
     "grad_clip clip_grad clip_grad_norm max_grad_norm gradient_clip_val gradient_clipping gradient_clip clip clipnorm "
     "max_norm grad_norm_clip"},
    {"optimizer.ema_decay", "ema ema_rate polyak model_ema model_ema_decay"},
    {"optimizer.adamw.beta1 optimizer.adam.beta1", "betas adam_beta1 b1"},
    {"optimizer.adamw.beta2 optimizer.adam.beta2", "adam_beta2 b2"},
    {"optimizer.adamw.epsilon optimizer.adam.epsilon", "eps adam_epsilon adam_eps"},
    {"optimizer.schedule",
     "lr_scheduler scheduler lr_schedule sched lr_policy learning_rate_schedule lr_scheduler_type"},
    {"optimizer.schedule.warmup_steps",
     "warmup warmup_iters num_warmup_steps warm_up warm_up_steps lr_warmup_steps warmup_iterations"},
    {"optimizer.schedule.warmup_fraction", "warmup_ratio warmup_frac warmup_proportion"},
    {"optimizer.schedule.cosine.final_factor", "min_lr eta_min lr_min min_learning_rate"},
    {"optimizer.schedule.step.factor", "gamma lr_gamma lr_decay lr_decay_rate"},
    {"optimizer.schedule.step.every_steps", "lr_step_size lr_decay_steps milestones"},
    {"checkpoint.every_steps",
     "save_steps save_every save_interval save_freq ckpt_interval checkpoint_every checkpoint_interval "
     "checkpointing_steps save_every_n_steps every_n_train_steps"},
    {"checkpoint.keep",
     "save_total_limit keep_last max_to_keep save_top_k keep_checkpoint_max keep_last_n num_to_keep"},
    {"watchdog.timeout_seconds", "timeout nccl_timeout ddp_timeout"},
    {"data.threads", "num_workers workers n_workers dataloader_num_workers num_data_workers"},
    {"data.train",
     "train_data dataset train_dataset data_path data_dir train_file train_files train_set training_data"},
    {"data.validation",
     "val valid dev val_data valid_data validation_data eval_data eval_set val_dataset validation_file"},
    {"data.test", "test_data test_file test_set test_dataset"},
    {"data.tokenizer", "vocab vocabulary tokenizer_name vocab_file"},
    {"data.classes", "num_classes n_classes nclasses num_labels n_class"},
    {"evaluate.samples", "eval_iters max_eval_samples limit_val_batches eval_batches"},
    {"data.block",
     "block_size seq_len seqlen sequence_length seq_length max_seq_len max_seq_length max_length context_length n_ctx "
     "max_position_embeddings"},
    {"data.normalize.deviation", "std stddev"},
    {"data.augment.flip", "hflip horizontal_flip random_flip random_horizontal_flip"},
    {"data.augment.shift", "crop random_crop"},
    {"model.gpt.layers model.seq2seq.layers model.recurrent.layers",
     "n_layer num_layers n_layers num_hidden_layers nlayers"},
    {"model.gpt.heads model.seq2seq.heads", "n_head num_heads n_heads nhead num_attention_heads attention_heads"},
    {"model.gpt.kv_heads", "num_key_value_heads n_kv_head n_kv_heads num_kv_heads num_query_groups"},
    {"model.gpt.width model.seq2seq.width", "n_embd d_model embed_dim embedding_dim model_dim hidden_dim emb_dim"},
    {"model.mlp.hidden model.gpt.width model.recurrent.hidden",
     "hidden_size hidden_units hidden_layers hidden_layer_sizes hidden_sizes hidden_dims"},
    {"model.gpt.inner model.seq2seq.inner", "intermediate_size ffn_dim d_ff ffn_hidden_size dim_feedforward n_inner"},
    {"model.gpt.positions", "rope position_embedding position_embedding_type"},
    {"model.gpt.tied", "tie_word_embeddings tie_weights tied_embeddings weight_tying"},
    {"model.mlp.dropout model.gpt.dropout model.convnet.dropout",
     "dropout_rate drop drop_rate p_dropout resid_pdrop dropout_prob hidden_dropout"},
    {"model.loss", "criterion loss_fn loss_function objective"},
};

constexpr struct {
  const char *value, *others;
} kValues[] = {
    {"GPU", "CUDA NVIDIA"},
    {"F32", "FP32 FLOAT32 FLOAT SINGLE"},
    {"BF16", "BFLOAT16 FP16 FLOAT16 HALF"},
    {"SILU", "SWISH"},
    {"RMS", "RMSNORM RMS_NORM"},
    {"LAYER", "LAYERNORM LAYER_NORM"},
    {"ROTARY", "ROPE"},
    {"SWIGLU", "SILU_GLU GLU"},
    {"GELU_TANH", "GELU_NEW GELU_APPROXIMATE"},
    {"SKIP_STEP", "SKIP IGNORE"},
    {"STOP", "RAISE FAIL ERROR ABORT"},
    {"LOSS", "VAL_LOSS EVAL_LOSS"},
    {"ACCURACY", "ACC VAL_ACC VAL_ACCURACY"},
    {"AUTO", "DEFAULT"},
};

bool Has(const char* words, const std::string& word) {
  const std::vector<std::string> all = WordsOf(words);
  return std::find(all.begin(), all.end(), word) != all.end();
}

}  // namespace

std::vector<std::string> FieldsOfOtherName(const std::string& name) {
  for (const Row& row : kRows)
    if (Has(row.names, name)) return WordsOf(row.fields);
  return {};
}

std::string ValueOfOtherName(const std::string& value) {
  for (const auto& row : kValues)
    if (Has(row.others, value)) return row.value;
  return "";
}

std::vector<std::string> AllOfOtherNames() {
  std::vector<std::string> all;
  for (const Row& row : kRows)
    for (const std::string& field : WordsOf(row.fields)) all.push_back(field);
  return all;
}

}  // namespace lockstep::launch
