terraform {
  required_version = ">= 1.3"
  required_providers {
    random = {
      source  = "hashicorp/random"
      version = "~> 3.5"
    }
  }
}

variable "region" {
  type        = string
  default     = "eu-west"
  description = "Where everything is."
}

variable "sizes" {
  type = map(number)
}

resource "random_pet" "name" {
  length = 2
}

module "network" {
  source = "./network"
  region = var.region
}

output "name" {
  value       = random_pet.name.id
  description = "The generated name."
}
