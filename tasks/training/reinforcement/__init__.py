"""What the stages that learn from rewards share: tasks, rewards, rollouts and their reports."""
